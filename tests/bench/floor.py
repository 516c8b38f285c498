"""The floor of HTTP measurements: a typed async FastAPI endpoint that does nothing."""

from fastapi import FastAPI
from pydantic import BaseModel


class Subject(BaseModel):
    type: str
    id: str


class Ask(BaseModel):
    subject: Subject
    fields: list[str]
    purpose: str
    on_behalf_of: str | None = None


class Answer(BaseModel):
    purpose: str
    fields: list[str]


app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})


@app.get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "alive"}


@app.post("/v1/reads")
async def read(body: Ask) -> Answer:
    return Answer(purpose=body.purpose, fields=body.fields)
