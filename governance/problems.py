"""One table of everything that can go wrong at the door (RFC 9457).

Promises a stable ``code``, a status and a sentence in Chinese and English for each problem, and that
no problem document repeats anything from the request. A cause that is not in the table is a 500
without detail. Why *data* was withheld is another list, ``policies.reasons``; a refused read carries
both: this module's ``withheld`` and the reasons of each field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Self


class Problem(Enum):
    """A problem code with its HTTP status and its sentences."""

    status: int
    zh: str
    en: str

    def __new__(cls, code: str, status: int, zh: str, en: str) -> Self:
        """Make the code the value and keep status and sentences beside it."""
        problem = object.__new__(cls)
        problem._value_ = code
        problem.status = status
        problem.zh = zh
        problem.en = en
        return problem

    EMPTY_BODY = ("empty_body", 400, "请求没有正文。", "The request has no body.")
    MALFORMED_JSON = ("malformed_json", 400, "正文不是有效的 JSON。", "The body is not valid JSON.")
    NOT_UTF8 = (
        "not_utf8",
        400,
        "正文必须是不带 BOM 的 UTF-8。",
        "The body must be UTF-8 without a byte order mark.",
    )
    DUPLICATE_KEY = (
        "duplicate_key",
        400,
        "JSON 对象中有重复的键，含义不明确。",
        "A JSON object repeats a key, so its meaning is unclear.",
    )
    NUMBER_OUT_OF_RANGE = (
        "number_out_of_range",
        400,
        "数字超出范围，或不是有限数。",
        "A number is out of range or not finite.",
    )
    UNSTORABLE_TEXT = (
        "unstorable_text",
        400,
        "文本含有无法存储的字符（NUL 或孤立代理项）。",
        "A text holds a character that cannot be stored (NUL or a lone surrogate).",
    )
    TOO_DEEP = ("too_deep", 400, "JSON 嵌套过深。", "The JSON is nested too deeply.")
    BAD_REQUEST_LINE = (
        "bad_request_line",
        400,
        "请求头或地址不合规范。",
        "The request line or a header is not well-formed.",
    )
    UNAUTHENTICATED = (
        "unauthenticated",
        401,
        "需要有效的凭据。",
        "A valid credential is needed.",
    )
    OUT_OF_SCOPE = (
        "out_of_scope",
        403,
        "这个凭据没有此操作的权限范围。",
        "This credential does not have the scope for this operation.",
    )
    WITHHELD = (
        "withheld",
        403,
        "没有任何字段可以提供；每个字段的原因见 fields。",
        "No field may be shown; see fields for the reason of each.",
    )
    SECOND_PERSON_NEEDED = (
        "second_person_needed",
        403,
        "不能由提出的人自己批准；需要另一名合规负责人。",
        "Nobody approves what they asked for themselves; another officer does.",
    )
    GUARDIAN_NEEDED = (
        "guardian_needed",
        403,
        "未成年人加入家庭、未满十四周岁的儿童离开家庭，都不能自己办理；请由监护人代为办理。",
        "A minor does not join a household alone, nor a child under 14 leave one; a guardian does it.",
    )
    FOREIGN_FORM = (
        "foreign_form",
        403,
        "这个表单不是从本页面提交的。",
        "This form was not sent from this page.",
    )
    NOT_FOUND = (
        "not_found",
        404,
        "没有找到，或者不属于您。",
        "There is no such thing, or it is not yours.",
    )
    EXPORT_CLOSED = (
        "export_closed",
        410,
        "这项请求办结已满三十天，不再提供导出；请重新提出请求。",
        "This request was fulfilled 30 days ago and exports nothing any more; ask again.",
    )
    METHOD_NOT_ALLOWED = (
        "method_not_allowed",
        405,
        "这个地址不支持该方法。",
        "This address does not support the method.",
    )
    CONFLICT = (
        "conflict",
        409,
        "当前状态不允许这个操作。",
        "The present state does not allow this operation.",
    )
    CLAIMED = (
        "claimed",
        409,
        "另一位同事正在处理这一项；到 until 为止由其处理。",
        "A colleague is working on this one; it is theirs until the time in until.",
    )
    LIVES_ELSEWHERE = (
        "lives_elsewhere",
        409,
        "您还住在另一个家庭；请先离开，再接受邀请。",
        "You live in another household; leave it first, then accept the invitation.",
    )
    UNDER_HOLD = (
        "under_hold",
        409,
        "依法须保全，暂不能删除；已限制为仅存储。",
        "A legal hold stands, so nothing was deleted; the data is restricted to storage.",
    )
    NOTICE_UNKNOWN = (
        "notice_unknown",
        409,
        "没有发布过这样的告知：编号、版本或文本摘要不符。请先发布告知，再征求同意。",
        "No such notice has been published: id, version or digest differ. Publish it before asking.",
    )
    NOTICE_DIFFERS = (
        "notice_differs",
        409,
        "所引用的告知说的不是这个目的、这些类别或这个接收方。",
        "The notice that is named tells of another purpose, other categories or other recipients.",
    )
    NOTICE_NOT_IN_FORCE = (
        "notice_not_in_force",
        409,
        "所引用的告知尚未生效，或其内容已被新版本更改；请出示现行版本。",
        "The notice that is named does not count yet, or a later version changed it; show the one in force.",
    )
    ASKED_TOO_SOON = (
        "asked_too_soon",
        409,
        "此人不久前已拒绝或撤回；在 not_before 之前不得再次询问，除非本人主动打开。",
        "This person said no not long ago; do not ask before not_before unless they come by themselves.",
    )
    CODE_REFUSED = (
        "code_refused",
        410,
        "验证码不正确、已使用或已过期。",
        "The code is wrong, used or expired.",
    )
    LINK_USED = (
        "link_used",
        410,
        "这个登录链接已经用过，或已过期，或不存在。",
        "This sign-in link has been used, has expired, or does not exist.",
    )
    BODY_TOO_LARGE = ("body_too_large", 413, "正文过大。", "The body is too large.")
    UNSUPPORTED_MEDIA_TYPE = (
        "unsupported_media_type",
        415,
        "只接受 application/json（UTF-8，未压缩）。",
        "Only application/json in UTF-8, not compressed, is accepted.",
    )
    INVALID_REQUEST = (
        "invalid_request",
        422,
        "请求不符合接口约定；每处问题见 errors。",
        "The request does not have the agreed form; see errors for each fault.",
    )
    KEY_REUSED = (
        "key_reused",
        422,
        "这个幂等键已用于不同的请求。",
        "This idempotency key was used for a different request.",
    )
    TOO_OFTEN = ("too_often", 429, "请求过于频繁，请稍后再试。", "Too many requests; try later.")
    HEADERS_TOO_LARGE = ("headers_too_large", 431, "请求头过大。", "The request headers are too large.")
    INTERNAL = (
        "internal",
        500,
        "服务内部出错，已记录；没有提供任何数据。",
        "Something went wrong inside and was recorded; no data was released.",
    )
    NO_GATEWAY = (
        "no_gateway",
        503,
        "没有配置验证码发送网关，因此没有记录同意。",
        "No gateway for one-time codes is configured, so no consent was recorded.",
    )
    CODE_NOT_SENT = (
        "code_not_sent",
        503,
        "勾选已记录，但验证码没能发出；请为同一项同意再要一个验证码。",
        "The tick is recorded, but its code could not be sent; ask for a new code for the same consent.",
    )
    RULES_UNAVAILABLE = (
        "rules_unavailable",
        503,
        "现行规则暂时无法载入，因此没有作出决定，也没有提供任何数据。请稍后重试。",
        "The rules in force cannot be loaded now, so nothing was decided or released. Try again later.",
    )
    NOT_SIGNED = (
        "not_signed",
        503,
        "日志暂时无法签名，因此没有可用来证明的检查点。请稍后重试。",
        "The log cannot be signed now, so there is no checkpoint to prove anything under. Try again later.",
    )
    CANNOT_RECORD = (
        "cannot_record",
        503,
        "暂时无法写入审计日志，因此没有提供任何数据。请稍后重试。",
        "The audit log cannot be written now, so no data was released. Try again later.",
    )

    def sentence(self, language: str) -> str:
        """Return the sentence in ``"zh"`` or ``"en"``."""
        return self.en if language == "en" else self.zh


class ProblemError(Exception):
    """Carries a problem from where it is noticed at the door to where it becomes a document.

    ``errors`` are ``{"pointer", "code"}`` only: where and what, never the value. ``extra`` are further
    members of the document, e.g. the fields of a refused read. ``retry_after`` is in seconds, for the header,
    where time alone will open what is closed now.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        extra: Mapping[str, object] | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(problem.value)
        self.problem = problem
        self.errors = errors
        self.extra = extra or {}
        self.retry_after = retry_after


def language_of(accept_language: str) -> str:
    """Return ``"zh"`` or ``"en"``: the one the header prefers, Chinese where it says nothing."""
    best, language = 0.0, "zh"
    for part in accept_language[:256].split(","):
        tag, _, quality = part.strip().partition(";")
        primary = tag.strip().lower().partition("-")[0]
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        if primary in ("zh", "en") and 0.0 < weight <= 1.0 and weight > best:
            best, language = weight, primary
    return language


def document(error: ProblemError, *, language: str, request_id: str, status: int) -> bytes:
    """Return the problem document, ready to send as ``application/problem+json``.

    ``status`` is the one it is sent with: some addresses must not say more than 400.
    """
    problem = error.problem
    body: dict[str, object] = {
        "type": f"/problems/{problem.value}",
        "title": problem.value.replace("_", " "),
        "status": status,
        "detail": problem.sentence(language),
        "instance": request_id,
        "code": problem.value,
    }
    if error.errors:
        body["errors"] = list(error.errors)
    body.update(error.extra)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
