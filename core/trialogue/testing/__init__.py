"""Fakes and conformance kits for those who write plugins, and for our own tests; nothing of it serves in production."""

from trialogue.testing._memory_nodes import MemoryBus as MemoryBus
from trialogue.testing.embedders import ScriptedEmbedder as ScriptedEmbedder
from trialogue.testing.faulty_provider import Asked as Asked
from trialogue.testing.faulty_provider import FaultKind as FaultKind
from trialogue.testing.faulty_provider import FaultyProvider as FaultyProvider
from trialogue.testing.memory_faults import Fault as Fault
from trialogue.testing.memory_faults import Faults as Faults
from trialogue.testing.memory_faults import RandomFaults as RandomFaults
from trialogue.testing.memory_store import MemoryStore as MemoryStore
from trialogue.testing.providers import OPENED as OPENED
from trialogue.testing.providers import Batch as Batch
from trialogue.testing.providers import Fail as Fail
from trialogue.testing.providers import Opened as Opened
from trialogue.testing.providers import Pause as Pause
from trialogue.testing.providers import Script as Script
from trialogue.testing.providers import ScriptedProvider as ScriptedProvider
from trialogue.testing.providers import Step as Step
from trialogue.testing.providers import forbid_model_calls as forbid_model_calls
from trialogue.testing.store_kit import STORE_CHECKS as STORE_CHECKS
from trialogue.testing.store_kit import OpenStore as OpenStore
from trialogue.testing.store_kit import StoreCheck as StoreCheck
from trialogue.testing.store_kit import check_name as check_name
