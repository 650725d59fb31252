"""Generators: super-resolution networks, as plain modules without training code."""

from facehall.models.generators.adder_sr import AdderEDSR, AdderVDSR
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.multi_scale_rrdb import MultiScaleRRDB
from facehall.models.generators.rrdbnet import RRDBNet
from facehall.models.generators.srresnet3 import SRResNet3

__all__ = ["AdderEDSR", "AdderVDSR", "Generator", "MultiScaleRRDB", "RRDBNet", "SRResNet3", "records_arguments"]
