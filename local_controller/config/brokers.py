"""What may a site file say about an MQTT broker?"""

from __future__ import annotations

from pydantic import Field, model_validator

from local_controller.config.section import Host, Id, Port, Section, Text, wrong


class BrokerSection(Section):
    """An MQTT broker."""

    id: Id = Field(examples=["site"])
    """Short name that other parts of the file refer to."""
    host: Host = Field(examples=["127.0.0.1"])
    """Address of the broker."""
    port: Port = 1883
    """TCP port."""
    username: Text | None = None
    """User name, if the broker wants one."""
    password_file: Text | None = None
    """File with the password. The password itself never stands in the site file."""
    password_env: Text | None = None
    """Environment variable with the password."""

    @model_validator(mode="after")
    def _one_password(self) -> BrokerSection:
        if self.password_file and self.password_env:
            raise wrong("password_env", "password_file is there as well: keep one of the two")
        if (self.password_file or self.password_env) and not self.username:
            raise wrong("password_file" if self.password_file else "password_env", "a password needs a username")
        return self
