"""Generators: super-resolution networks, as plain modules without training code."""

from facehall.models.generators.adder_sr import AdderEDSR, AdderVDSR
from facehall.models.generators.base import Generator, records_arguments
from facehall.models.generators.cscn import CSCN
from facehall.models.generators.drcn import DRCN
from facehall.models.generators.drrn import DRRN
from facehall.models.generators.edsr import EDSR
from facehall.models.generators.eipnet import EIPNet
from facehall.models.generators.gafh_ridn import GAFHRIDN
from facehall.models.generators.lapsrn import LapSRN
from facehall.models.generators.ms_lapsrn import MSLapSRN
from facehall.models.generators.multi_scale_resnet import MultiScaleResNet
from facehall.models.generators.multi_scale_rrdb import MultiScaleRRDB
from facehall.models.generators.multi_scale_unet import MultiScaleUNet
from facehall.models.generators.parsing_resnet import ParsingResNet
from facehall.models.generators.pfsr import PFSR
from facehall.models.generators.ppon import PPON
from facehall.models.generators.pro_uigan import ProUIGAN
from facehall.models.generators.prosr import ProSR
from facehall.models.generators.rrdbnet import RRDBNet
from facehall.models.generators.spsr import SPSR
from facehall.models.generators.srcnn import SRCNN
from facehall.models.generators.srresnet import SRResNet
from facehall.models.generators.srresnet3 import SRResNet3
from facehall.models.generators.vdsr import VDSR

__all__ = [
    "CSCN",
    "DRCN",
    "DRRN",
    "EDSR",
    "GAFHRIDN",
    "PFSR",
    "PPON",
    "SPSR",
    "SRCNN",
    "VDSR",
    "AdderEDSR",
    "AdderVDSR",
    "EIPNet",
    "Generator",
    "LapSRN",
    "MSLapSRN",
    "MultiScaleRRDB",
    "MultiScaleResNet",
    "MultiScaleUNet",
    "ParsingResNet",
    "ProSR",
    "ProUIGAN",
    "RRDBNet",
    "SRResNet",
    "SRResNet3",
    "records_arguments",
]
