"""A multipart form with one file and a few short fields, parsed while it streams (RFC 7578)."""

from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api import errors
from artifact.format.errors import shown

FILE_FIELD: Final = "file"
MAX_PARTS: Final = 8
MAX_FIELD_BYTES: Final = 1024


class FormParser:
    """Collects the parts of one form; `feed` it, then `finish`."""

    def __init__(self, boundary: bytes) -> None:
        self._file: bytearray | None = None
        self._fields: dict[str, bytearray] = {}
        self._part: bytearray = bytearray()
        self._is_file = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._ended = False
        self._parser = _parser(boundary, self)

    @staticmethod
    def boundary(parameters: str) -> bytes:
        """The boundary among the parameters of a Content-Type.

        Raises:
            BadForm: there is none.
        """
        _, options = parse_options_header(f"multipart/form-data;{parameters}")
        found = options.get(b"boundary", b"")
        if not 0 < len(found) <= 70:
            raise errors.BadForm(where="Content-Type", expected="a boundary of 1 to 70 bytes", got="none")
        return found

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            BadForm: they are none of a form with one file and short fields.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise errors.BadForm(where="body", expected="a multipart form", got="something else") from None

    def finish(self) -> tuple[bytes, dict[str, str]]:
        """The file and the fields.

        Raises:
            BadForm: the form is not whole, or has no file.
        """
        if not self._ended:
            raise errors.BadForm(where="body", expected="a closing boundary", got="the end of the body")
        if self._file is None:
            raise errors.BadForm(where=FILE_FIELD, expected="one file field", got="none")
        try:
            return bytes(self._file), {name: value.decode() for name, value in self._fields.items()}
        except UnicodeDecodeError:
            raise errors.BadForm(where="fields", expected="UTF-8", got="other bytes") from None

    def on_part_begin(self) -> None:
        """A part begins."""
        self._header = self._value = self._disposition = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Some of a header's name."""
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Some of a header's value."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """A header ends."""
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        """The part's bytes follow: find out whose they are."""
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("ascii", "replace")
        self._is_file = name == FILE_FIELD
        if (self._is_file and self._file is not None) or name in self._fields or len(self._fields) >= MAX_PARTS:
            raise errors.BadForm(where=shown(name), expected="each field once", got="another one")
        self._part = bytearray()
        if self._is_file:
            self._file = self._part
        else:
            self._fields[name] = self._part

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Some of the part's bytes."""
        self._part += memoryview(data)[start:end]
        if not self._is_file and len(self._part) > MAX_FIELD_BYTES:
            raise errors.BadForm(where="fields", expected=f"at most {MAX_FIELD_BYTES} bytes each", got="more")

    def on_end(self) -> None:
        """The closing boundary."""
        self._ended = True


def _parser(boundary: bytes, form: FormParser) -> MultipartParser:
    return MultipartParser(
        boundary,
        {
            "on_part_begin": form.on_part_begin,
            "on_header_field": form.on_header_field,
            "on_header_value": form.on_header_value,
            "on_header_end": form.on_header_end,
            "on_headers_finished": form.on_headers_finished,
            "on_part_data": form.on_part_data,
            "on_end": form.on_end,
        },
    )
