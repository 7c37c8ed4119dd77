"""The gateway under measurement: the node that a quickstart made, run as an operator runs it."""

import tomllib

from harness.gateway import Gateway

from .cores import on


class Node(Gateway):
    """Found by its configuration: the file `ready` is there only while a quickstart is."""

    @property
    def url(self):
        config = tomllib.loads((self.folder / "kouan.toml").read_text())
        return f"https://{config['listen']}"

    def up(self, core):
        """The story first, then `kouan serve`, with its own log level."""
        with on(core):
            self.start()
            self.stop()
            return self.serve()
