"""Figures of the gateway beside what an operations or a data team would set up instead, measured in turn on this machine."""
