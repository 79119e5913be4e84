"""What is one OCPP-J message? Its verbatim text, the parts of its envelope, and its payload when somebody asks.

Part 4 ch. 4. Only the envelope is read on arrival; `text` is what is relayed, never a re-serialised copy (LC-018).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from local_controller.errors import NO_ID, FrameError, PayloadError
from local_controller.rpc.rewriting import rewritten


class MessageType(IntEnum):
    """The message types of Part 4 §4.1.3; 5 and 6 exist since OCPP 2.1. A peer may use others."""

    CALL = 2
    CALLRESULT = 3
    CALLERROR = 4
    CALLRESULTERROR = 5
    SEND = 6

    __hash__ = int.__hash__  # that of Enum is written in Python


CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND = MessageType
_KNOWN = frozenset(MessageType)
_WITH_ACTION = frozenset({CALL, SEND})
_ERRORS = frozenset({CALLERROR, CALLRESULTERROR})
_NULL = msgspec.Raw(b"null")


class _Call(msgspec.Struct, array_like=True, gc=False, tag=2):
    """A CALL as the standard has it."""

    message_id: str
    action: str
    payload: msgspec.Raw


class _Send(msgspec.Struct, array_like=True, gc=False, tag=6):
    """A SEND as the standard has it."""

    message_id: str
    action: str
    payload: msgspec.Raw


class _Result(msgspec.Struct, array_like=True, gc=False, tag=3):
    """A CALLRESULT as the standard has it."""

    message_id: str
    payload: msgspec.Raw


class _Envelope(msgspec.Struct, array_like=True, gc=False):
    """The elements of any array; what they mean depends on the first. Elements beyond the fifth are ignored."""

    message_type: int
    message_id: str
    third: msgspec.Raw = _NULL
    fourth: msgspec.Raw = _NULL
    fifth: msgspec.Raw = _NULL


_decode_usual = msgspec.json.Decoder(_Call | _Result | _Send).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_str = msgspec.json.Decoder(str).decode
_EMPTY: Final = b"{}"
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)  # made once: `json.dumps` makes one for each text
_LENIENT = json.JSONEncoder(separators=(",", ":"))  # writes `Infinity`, which is no JSON
_WORD_OR_ENDLESS = re.compile(r'"(?:[^"\\]|\\.)*"|Infinity')
_UNREAD = msgspec.Raw(b"too long")
_LIKE_A_CALL = re.compile(r'\s*\ufeff?\s*\[\s*"?2(?:\.0+)?"?\s*,\s*"([^"\\]{1,255})"')
_REFUSED = (ValueError, RecursionError)  # what msgspec raises for a text that it cannot read

CLOSE_LOOK: Final = 128 * 1024
"""Characters of the longest text that is read a second time when `msgspec` has refused it, which takes up to 20 ms."""

REFUSALS: Final = (ValueError, OverflowError, RecursionError)
"""With which a reader of payloads says that it cannot read one, as decoders of msgspec do."""

_T = TypeVar("_T")


class Frame(msgspec.Struct, eq=False, gc=False):
    """One message of a peer. Treat it as immutable: it is shared by everybody who looks at it.

    text: exactly as received (or as built here). message_type: a `MessageType` or a number unknown to us.
    message_id: "" when a message of an unknown type carries none. action: of CALL and SEND, else None.
    """

    text: str
    message_type: int
    message_id: str
    action: str | None = None
    _raw: msgspec.Raw = _NULL  # of CALL, SEND and answers that came from a peer
    _payload: dict[str, Any] | None = None
    _reader: Any = None
    _read: Any = None

    def __eq__(self, other: object) -> bool:
        """Whether both are the same text; all else follows from it."""
        return isinstance(other, Frame) and self.text == other.text

    __hash__ = None  # type: ignore[assignment]  # it remembers what was read of it

    @property
    def payload(self) -> dict[str, Any]:
        """The payload of CALL, SEND or CALLRESULT (never change it); `null` and error messages give {}.

        Raises PayloadError when it is no JSON object.
        """
        if self._payload is None:
            self._payload = {} if self.is_error else _load_object(self, self._raw)
        return self._payload

    def payload_as(self, reader: Callable[[msgspec.Raw], _T]) -> _T | None:
        """What `reader` makes of the payload; None if it refuses.

        Read once for all who ask.
        """
        if self._reader is not reader:
            self._reader = reader
            try:
                self._read = reader(self._raw)
            except REFUSALS:
                self._read = None
        read: _T | None = self._read
        return read

    @property
    def is_empty(self) -> bool:
        """Whether it is a CALLRESULT that says nothing more, as most are."""
        return self.message_type == CALLRESULT and bytes(self._raw) == _EMPTY

    @property
    def is_error(self) -> bool:
        """Whether this is a CALLERROR or CALLRESULTERROR."""
        return self.message_type in _ERRORS

    @property
    def error_code(self) -> str | None:
        """The code of CALLERROR and CALLRESULTERROR as the peer spelt it (LC-028), else None."""
        return _text_of(_envelope(self.text).third) if self.is_error else None

    @property
    def error_description(self) -> str | None:
        """The description of CALLERROR and CALLRESULTERROR, else None."""
        return _text_of(_envelope(self.text).fourth) if self.is_error else None

    @property
    def details(self) -> dict[str, Any]:
        """The details of CALLERROR and CALLRESULTERROR, else {}. Raises PayloadError when they are no JSON object."""
        return _load_object(self, _envelope(self.text).fifth) if self.is_error else {}


def parse(text: str) -> Frame:
    """The message in `text`. Raises FrameError, with the message's id where that can be read (LC-029).

    Tolerant where that harms nobody: blanks, a missing payload, surplus elements, unknown message types.
    """
    try:
        usual = _decode_usual(text)
    except _REFUSED:
        return _frame(text, _envelope(text))
    if isinstance(usual, _Call):
        return Frame(text, CALL, usual.message_id, usual.action, usual.payload)
    if isinstance(usual, _Result):
        return Frame(text, CALLRESULT, usual.message_id, None, usual.payload)
    return Frame(text, SEND, usual.message_id, usual.action, usual.payload)


def unread(frame: Frame) -> Frame:
    """The same CALL, SEND or answer, whose payload nobody shall read: it takes too long (LC-033)."""
    return Frame(frame.text, frame.message_type, frame.message_id, frame.action, _UNREAD)


def _frame(text: str, envelope: _Envelope) -> Frame:
    """Gives the elements of the envelope their meaning."""
    message_type, message_id = envelope.message_type, envelope.message_id
    if message_type in _WITH_ACTION:
        return Frame(text, message_type, message_id, _action(envelope), envelope.fourth)
    return Frame(text, message_type, message_id, None, envelope.third)


def _action(envelope: _Envelope) -> str:
    try:
        return _decode_str(envelope.third)
    except (msgspec.MsgspecError, UnicodeError):
        action = _loads(bytes(envelope.third))
        if isinstance(action, str):
            return action
        raise FrameError("the action is no string", envelope.message_id) from None


def _envelope(text: str) -> _Envelope:
    try:
        return _decode_envelope(text)
    except _REFUSED:
        return _envelope_the_slow_way(text)


def _envelope_the_slow_way(text: str) -> _Envelope:
    """Reads what msgspec refuses but JSON allows (lone surrogate escapes), and says what is wrong with the rest."""
    if len(text) > CLOSE_LOOK:
        raise FrameError("not JSON as nearly all write it, and too long for a closer look")
    try:
        elements = _loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"not JSON: {error}") from error
    if not isinstance(elements, list) or not elements or type(elements[0]) is not int:
        raise FrameError("not an array that starts with a message type")
    message_type, message_id = elements[0], elements[1] if len(elements) > 1 else None
    if not isinstance(message_id, str):
        if message_type in _KNOWN:
            raise FrameError("the message id is no string")
        message_id = ""
    try:
        return _Envelope(message_type, message_id, *(msgspec.Raw(_dump_of_peer(element)) for element in elements[2:5]))
    except RecursionError as error:  # what could just be read may be too deep to be written
        raise FrameError(f"not JSON: {error}", message_id or NO_ID) from error


def id_for_others(text: str) -> str | None:
    """Of a message that `parse` refuses: the id of the CALL that a more tolerant reader may take it for, and answer.

    Python reads `NaN`, JavaScript takes 2.0 for 2, others overlook a comma or a byte order mark too many.
    """
    found = _LIKE_A_CALL.match(text)
    return None if found is None else found[1]


def call(message_id: str, action: str, payload: dict[str, Any]) -> Frame:
    """A CALL of our own."""
    return _built(CALL, message_id, action, payload)


def repeated(message_id: str, action: str, payload: dict[str, Any]) -> Frame:
    """A CALL that says again what a peer has said, be it a number beyond all bounds."""
    elements = _elements(CALL, message_id, action, payload)
    try:
        text = _dump(elements)
    except ValueError:
        text = _dump_of_peer(elements)
    return Frame(text.decode(), CALL, message_id, action, _NULL, payload)


def result(message_id: str, payload: dict[str, Any]) -> Frame:
    """Our CALLRESULT to the CALL `message_id`."""
    return _built(CALLRESULT, message_id, None, payload)


def error(message_id: str, code: str, description: str, details: dict[str, Any] | None = None) -> Frame:
    """Our CALLERROR to the CALL `message_id`; the description is cut at 255 characters (Part 4 §4.2.3)."""
    elements = [CALLERROR, message_id, code, description[:255], details or {}]
    return Frame(_dump(elements).decode(), CALLERROR, message_id)


def altered(frame: Frame, payload: dict[str, Any]) -> Frame:
    """The same CALL, SEND or CALLRESULT with another payload; what is the same in it keeps its spelling (LC-126)."""
    try:
        text = rewritten(frame.text, 2 if frame.action is None else 3, frame.payload, payload)
    except (ValueError, RecursionError):
        text = _anew(frame, payload)
    return Frame(text, frame.message_type, frame.message_id, frame.action, _NULL, payload)


def _anew(frame: Frame, payload: dict[str, Any]) -> str:
    """All of a message in our own spelling. ValueError for a number that is none, unless the peer has sent such a one."""
    elements = _elements(frame.message_type, frame.message_id, frame.action, payload)
    try:
        return _dump(elements).decode()
    except ValueError:
        if not _is_endless(frame.payload):
            raise
    return _dump_of_peer(elements).decode()


def _built(message_type: int, message_id: str, action: str | None, payload: dict[str, Any]) -> Frame:
    text = _dump(_elements(message_type, message_id, action, payload)).decode()
    return Frame(text, message_type, message_id, action, _NULL, payload)


def _elements(message_type: int, message_id: str, action: str | None, payload: dict[str, Any]) -> list[Any]:
    return [message_type, message_id, payload] if action is None else [message_type, message_id, action, payload]


def _dump(value: Any) -> bytes:
    """Compact JSON in plain ASCII, so that any text survives any socket. ValueError for a number that is none.

    `msgspec` is fast, but leaves characters as they are and writes `null` for such a number.
    """
    try:
        text = msgspec.json.encode(value)
    except ValueError:  # a lone surrogate
        text = b"null"
    if text.isascii() and b"null" not in text:
        return text
    return _ENCODER.encode(value).encode("ascii")


def _dump_of_peer(value: Any) -> bytes:
    """The same of what a peer sent, in which `1E400` may have become a number that is none: JSON allows it."""
    if not _is_endless(value):
        return _dump(value)
    return _WORD_OR_ENDLESS.sub(lambda found: _spelt(found[0]), _LENIENT.encode(value)).encode("ascii")


def _is_endless(value: Any) -> bool:
    try:
        _ENCODER.encode(value)
    except ValueError:
        return True
    return False


def _spelt(token: str) -> str:
    return token if token.startswith('"') else token.replace("Infinity", "1e999")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)  # as above


def _loads(text: str | bytes) -> Any:
    """Both read the same values; the second one also what few send: lone surrogate escapes, endless numbers."""
    try:
        return msgspec.json.decode(text)
    except _REFUSED:
        return _DECODER.decode(text if isinstance(text, str) else text.decode("utf-8", "surrogatepass"))


def _load_object(frame: Frame, part: msgspec.Raw) -> dict[str, Any]:
    read = bytes(part)
    if read == _EMPTY:  # as most answers are
        return {}
    where = frame.action or f"answer {frame.message_id}"
    if part is _UNREAD:
        raise PayloadError(where, "$", f"its {len(frame.text)} characters are too many to be read")
    try:
        value = _loads(read)
    except (ValueError, RecursionError) as fault:
        raise PayloadError(where, "$", str(fault)) from fault
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise PayloadError(where, "$", "an object was expected")
    return value


def _text_of(part: msgspec.Raw) -> str | None:
    """A string, or None where the peer sent something else."""
    try:
        value = _loads(bytes(part))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) else None
