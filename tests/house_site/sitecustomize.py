"""Python runs this file at the start of every child that the tests start: the folder is on their PYTHONPATH."""

import refuse_outbound

refuse_outbound.install()
