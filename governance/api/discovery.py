"""AuthZEN metadata: where what is answered, told from the configured public address alone.

Never from the Host header: whoever asks through a name of their own would be sent to that name.
"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from governance import authzen
from governance.api import access
from governance.authzen import Body
from governance.requesting import PATH

router = APIRouter(tags=["authzen"])


@router.get("/.well-known/authzen-configuration", operation_id="authzen_metadata", summary="AuthZEN metadata")
async def metadata(request: Request) -> Response:
    """Tell where what is answered, from the configured public address alone."""
    service = access.service_of(request)
    base = service.settings.public_url
    start = f"{base}/access/v1"
    body: Body = {
        "policy_decision_point": base,
        "access_evaluation_endpoint": f"{start}/evaluation",
        "access_evaluations_endpoint": f"{start}/evaluations",
        "search_subject_endpoint": f"{start}/search/subject",
        "search_resource_endpoint": f"{start}/search/resource",
        "search_action_endpoint": f"{start}/search/action",
        "supported_obligations": list(authzen.OBLIGATIONS),
    }
    if service.approvals is not None:
        body["access_request_endpoint"] = base + PATH
    return access.as_json(body)
