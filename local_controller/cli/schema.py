"""What may a site file say, for editors? `local-controller schema` prints the JSON Schema of site files."""

from __future__ import annotations

import json

from pydantic.json_schema import GenerateJsonSchema

from local_controller.config.models import SiteConfig


class _WithoutTitles(GenerateJsonSchema):
    """A title that repeats the key tells nobody anything."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


def schema() -> None:
    """Prints the JSON Schema of site files, for editors."""
    print(schema_text(), end="")


def schema_text() -> str:
    """The JSON Schema as it is shipped in site_configs/schema.json."""
    described = SiteConfig.model_json_schema(schema_generator=_WithoutTitles)
    return json.dumps({"$schema": _WithoutTitles.schema_dialect, **described}, indent=2, ensure_ascii=False) + "\n"
