"""Trialogue's core: user, model and tools in one durable, live conversation.

Rooms, from the bottom up:

    _facts                                          what there is: values, events, errors, ids, the clock
    _supervision                                    who starts whom, and what becomes of those that fail
    _deciding                                       the pure core: what a command does, and the fold of the log
    _asking, _tools, _files, _search, _accounts,
    _paying, _lists, _storage, hookspecs            ports, and what stands behind each on our side of it
    _watching                                       who looks on, and figures
    _actors                                         one actor per conversation, the flusher, the tail
    _runs                                           how an answer comes about; it and the actors know each other
    _cluster                                        many nodes over one store
    _plugins                                        plugins, loaded and asked
    _engine                                         all of it, opened, and the front that a server sees
    testing                                         fakes and conformance kits

Beside them stands what plugins of providers build on: openai_dialect and anthropic_dialect (pure), sdk_provider, and
upstreams, which alone speaks HTTP and is imported by nobody here before a provider asks.

What begins with an underscore is not API; everything public is importable from here.
"""

from trialogue._accounts.account_rules import checked_email as checked_email
from trialogue._accounts.account_rules import checked_name as checked_name
from trialogue._accounts.account_rules import normal_email as normal_email
from trialogue._accounts.account_values import Admission as Admission
from trialogue._accounts.account_values import Deletion as Deletion
from trialogue._accounts.account_values import Identity as Identity
from trialogue._accounts.account_values import Invitation as Invitation
from trialogue._accounts.account_values import InvitationPage as InvitationPage
from trialogue._accounts.account_values import Reset as Reset
from trialogue._accounts.account_values import UserChange as UserChange
from trialogue._accounts.account_values import UserPage as UserPage
from trialogue._accounts.accounts import Accounts as Accounts
from trialogue._accounts.audit import Action as Action
from trialogue._accounts.audit import AuditEntry as AuditEntry
from trialogue._accounts.audit import AuditPage as AuditPage
from trialogue._accounts.audit import Origin as Origin
from trialogue._accounts.auth import ApiKey as ApiKey
from trialogue._accounts.auth import Authenticator as Authenticator
from trialogue._accounts.auth import Credentials as Credentials
from trialogue._accounts.auth import Principal as Principal
from trialogue._accounts.auth import Scope as Scope
from trialogue._accounts.auth import SecretAuthenticator as SecretAuthenticator
from trialogue._accounts.auth import Session as Session
from trialogue._accounts.auth import User as User
from trialogue._accounts.auth import UserRole as UserRole
from trialogue._accounts.identity import Departure as Departure
from trialogue._accounts.identity import HeaderLogin as HeaderLogin
from trialogue._accounts.identity import Person as Person
from trialogue._accounts.identity import RedirectLogin as RedirectLogin
from trialogue._actors.limits import Limits as Limits
from trialogue._actors.retention import Pruned as Pruned
from trialogue._actors.retention import Retention as Retention
from trialogue._actors.snapshot import RunView as RunView
from trialogue._actors.snapshot import Snapshot as Snapshot
from trialogue._actors.snapshot import Tree as Tree
from trialogue._actors.snapshot import encode_snapshot as encode_snapshot
from trialogue._actors.snapshot import frame_snapshot as frame_snapshot
from trialogue._actors.snapshot import take_snapshot as take_snapshot
from trialogue._actors.snapshot import with_siblings as with_siblings
from trialogue._actors.snapshot import written as written
from trialogue._actors.tail import Tail as Tail
from trialogue._asking.asking import AskingLimits as AskingLimits
from trialogue._asking.asking import ProviderStatistics as ProviderStatistics
from trialogue._asking.backoff import Backoff as Backoff
from trialogue._asking.breaker import BreakerLimits as BreakerLimits
from trialogue._asking.breaker import BreakerState as BreakerState
from trialogue._asking.circuits import ModelStatistics as ModelStatistics
from trialogue._asking.health import Health as Health
from trialogue._asking.health import HealthStatus as HealthStatus
from trialogue._asking.lane import LaneLimits as LaneLimits
from trialogue._asking.lane import LaneStatistics as LaneStatistics
from trialogue._asking.provider import CitationPiece as CitationPiece
from trialogue._asking.provider import FinishPiece as FinishPiece
from trialogue._asking.provider import HandlePiece as HandlePiece
from trialogue._asking.provider import Piece as Piece
from trialogue._asking.provider import Provider as Provider
from trialogue._asking.provider import ReasoningPiece as ReasoningPiece
from trialogue._asking.provider import Request as Request
from trialogue._asking.provider import RequestDocument as RequestDocument
from trialogue._asking.provider import RequestImage as RequestImage
from trialogue._asking.provider import ResponseStream as ResponseStream
from trialogue._asking.provider import TextPiece as TextPiece
from trialogue._asking.provider import ToolCallPiece as ToolCallPiece
from trialogue._asking.provider import UsagePiece as UsagePiece
from trialogue._cluster.bus import Bus as Bus
from trialogue._cluster.bus import Ear as Ear
from trialogue._cluster.cluster import Cluster as Cluster
from trialogue._cluster.cluster import Joining as Joining
from trialogue._cluster.news import Advance as Advance
from trialogue._cluster.news import Advanced as Advanced
from trialogue._cluster.news import Asked as Asked
from trialogue._cluster.news import Beat as Beat
from trialogue._cluster.news import Ended as Ended
from trialogue._cluster.news import FileChanged as FileChanged
from trialogue._cluster.news import Item as Item
from trialogue._cluster.news import ListUnsure as ListUnsure
from trialogue._cluster.news import News as News
from trialogue._cluster.news import Purged as Purged
from trialogue._cluster.news import UserChanged as UserChanged
from trialogue._cluster.nodes import Kept as Kept
from trialogue._cluster.nodes import Load as Load
from trialogue._cluster.nodes import Member as Member
from trialogue._cluster.nodes import Members as Members
from trialogue._cluster.nodes import NodeInfo as NodeInfo
from trialogue._cluster.nodes import Nodes as Nodes
from trialogue._cluster.nodes import Owner as Owner
from trialogue._cluster.nodes import Position as Position
from trialogue._cluster.nodes import Renewal as Renewal
from trialogue._cluster.nodes import Renewer as Renewer
from trialogue._cluster.outcomes import decode_outcome as decode_outcome
from trialogue._cluster.outcomes import encode_outcome as encode_outcome
from trialogue._cluster.transport import Parcel as Parcel
from trialogue._cluster.transport import Transport as Transport
from trialogue._cluster.transport import UnreachableError as UnreachableError
from trialogue._deciding.answer import Answer as Answer
from trialogue._deciding.answer import fold_answer as fold_answer
from trialogue._deciding.commands import AddMessages as AddMessages
from trialogue._deciding.commands import AnswerApproval as AnswerApproval
from trialogue._deciding.commands import Command as Command
from trialogue._deciding.commands import CompactContext as CompactContext
from trialogue._deciding.commands import ContinueAnswer as ContinueAnswer
from trialogue._deciding.commands import CreateConversation as CreateConversation
from trialogue._deciding.commands import EditMessage as EditMessage
from trialogue._deciding.commands import ExpireApprovals as ExpireApprovals
from trialogue._deciding.commands import ForkConversation as ForkConversation
from trialogue._deciding.commands import GiveTitle as GiveTitle
from trialogue._deciding.commands import Known as Known
from trialogue._deciding.commands import PostMessage as PostMessage
from trialogue._deciding.commands import Receipt as Receipt
from trialogue._deciding.commands import Recover as Recover
from trialogue._deciding.commands import Regenerate as Regenerate
from trialogue._deciding.commands import RemoveMessage as RemoveMessage
from trialogue._deciding.commands import Stop as Stop
from trialogue._deciding.commands import UpdateConversation as UpdateConversation
from trialogue._deciding.commands import names as names
from trialogue._deciding.commands import needs as needs
from trialogue._deciding.decide import Decision as Decision
from trialogue._deciding.decide import decide as decide
from trialogue._deciding.history import Beginning as Beginning
from trialogue._deciding.history import settled as settled
from trialogue._deciding.live_run import LiveRun as LiveRun
from trialogue._deciding.live_run import Steps as Steps
from trialogue._deciding.state import State as State
from trialogue._deciding.state import begin as begin
from trialogue._deciding.state import evolve as evolve
from trialogue._dialects.rounds import Round as Round
from trialogue._dialects.rounds import rounds_of as rounds_of
from trialogue._engine.engine import Engine as Engine
from trialogue._engine.opening import open_engine as open_engine
from trialogue._facts.cursor import Cursor as Cursor
from trialogue._facts.cursor import frame as frame
from trialogue._facts.cursor import parse_cursor as parse_cursor
from trialogue._facts.errors import BrokenError as BrokenError
from trialogue._facts.errors import BudgetError as BudgetError
from trialogue._facts.errors import ClosedError as ClosedError
from trialogue._facts.errors import ConfigurationError as ConfigurationError
from trialogue._facts.errors import ConflictError as ConflictError
from trialogue._facts.errors import ElsewhereError as ElsewhereError
from trialogue._facts.errors import EmbedderError as EmbedderError
from trialogue._facts.errors import FaultedError as FaultedError
from trialogue._facts.errors import FencedError as FencedError
from trialogue._facts.errors import ForbiddenError as ForbiddenError
from trialogue._facts.errors import InvalidError as InvalidError
from trialogue._facts.errors import LimitError as LimitError
from trialogue._facts.errors import NotFoundError as NotFoundError
from trialogue._facts.errors import ProviderError as ProviderError
from trialogue._facts.errors import QuotaError as QuotaError
from trialogue._facts.errors import StorageError as StorageError
from trialogue._facts.errors import ThrottledError as ThrottledError
from trialogue._facts.errors import TrialogueError as TrialogueError
from trialogue._facts.errors import UnauthenticatedError as UnauthenticatedError
from trialogue._facts.events import Aside as Aside
from trialogue._facts.events import ContextCompacted as ContextCompacted
from trialogue._facts.events import ConversationCreated as ConversationCreated
from trialogue._facts.events import ConversationUpdated as ConversationUpdated
from trialogue._facts.events import Entry as Entry
from trialogue._facts.events import Event as Event
from trialogue._facts.events import HeadMoved as HeadMoved
from trialogue._facts.events import InboxAdded as InboxAdded
from trialogue._facts.events import InboxRemoved as InboxRemoved
from trialogue._facts.events import MessageAdded as MessageAdded
from trialogue._facts.events import MessageRemoved as MessageRemoved
from trialogue._facts.events import MessageRevised as MessageRevised
from trialogue._facts.events import Queued as Queued
from trialogue._facts.events import decode_event as decode_event
from trialogue._facts.events import encode_event as encode_event
from trialogue._facts.events import event_type as event_type
from trialogue._facts.ids import is_id as is_id
from trialogue._facts.ids import new_id as new_id
from trialogue._facts.ids import seeded_ids as seeded_ids
from trialogue._facts.merge import merge_patch as merge_patch
from trialogue._facts.run_events import ApprovalAsked as ApprovalAsked
from trialogue._facts.run_events import ApprovalGiven as ApprovalGiven
from trialogue._facts.run_events import GenerationStarted as GenerationStarted
from trialogue._facts.run_events import OpenCall as OpenCall
from trialogue._facts.run_events import PartAdded as PartAdded
from trialogue._facts.run_events import PartDelta as PartDelta
from trialogue._facts.run_events import PartEnded as PartEnded
from trialogue._facts.run_events import PartStarted as PartStarted
from trialogue._facts.run_events import RunAttached as RunAttached
from trialogue._facts.run_events import RunCancelled as RunCancelled
from trialogue._facts.run_events import RunCompleted as RunCompleted
from trialogue._facts.run_events import RunEnded as RunEnded
from trialogue._facts.run_events import RunFailed as RunFailed
from trialogue._facts.run_events import RunIncomplete as RunIncomplete
from trialogue._facts.run_events import RunInterrupted as RunInterrupted
from trialogue._facts.run_events import RunStarted as RunStarted
from trialogue._facts.run_events import RunWaiting as RunWaiting
from trialogue._facts.run_events import ToolCalled as ToolCalled
from trialogue._facts.run_events import ToolReturned as ToolReturned
from trialogue._facts.run_events import UsageReported as UsageReported
from trialogue._facts.values import AnswerSchema as AnswerSchema
from trialogue._facts.values import CitationPart as CitationPart
from trialogue._facts.values import Conversation as Conversation
from trialogue._facts.values import DataPart as DataPart
from trialogue._facts.values import Failure as Failure
from trialogue._facts.values import FilePart as FilePart
from trialogue._facts.values import FinishReason as FinishReason
from trialogue._facts.values import ForkedFrom as ForkedFrom
from trialogue._facts.values import Location as Location
from trialogue._facts.values import Message as Message
from trialogue._facts.values import Model as Model
from trialogue._facts.values import Part as Part
from trialogue._facts.values import Policy as Policy
from trialogue._facts.values import Prices as Prices
from trialogue._facts.values import Rates as Rates
from trialogue._facts.values import ReasoningPart as ReasoningPart
from trialogue._facts.values import Role as Role
from trialogue._facts.values import Settings as Settings
from trialogue._facts.values import Status as Status
from trialogue._facts.values import Terms as Terms
from trialogue._facts.values import TextPart as TextPart
from trialogue._facts.values import ToolCallPart as ToolCallPart
from trialogue._facts.values import ToolChoice as ToolChoice
from trialogue._facts.values import ToolResultPart as ToolResultPart
from trialogue._facts.values import ToolSpec as ToolSpec
from trialogue._facts.values import ToolUse as ToolUse
from trialogue._facts.values import Usage as Usage
from trialogue._facts.values import call_id as call_id
from trialogue._facts.values import files_of as files_of
from trialogue._facts.values import text_of as text_of
from trialogue._files.blob_streams import Reader as Reader
from trialogue._files.blobs import Blobs as Blobs
from trialogue._files.extractor import Extractor as Extractor
from trialogue._files.files import File as File
from trialogue._files.files import FilePage as FilePage
from trialogue._files.files import Files as Files
from trialogue._files.files import FileText as FileText
from trialogue._files.files import FileView as FileView
from trialogue._files.files import Space as Space
from trialogue._files.files import TextState as TextState
from trialogue._files.files import Variant as Variant
from trialogue._files.files import VariantKind as VariantKind
from trialogue._files.files import file_view as file_view
from trialogue._files.inspection import Bounds as Bounds
from trialogue._files.library import FileLimits as FileLimits
from trialogue._files.library import FileObserver as FileObserver
from trialogue._files.library import Library as Library
from trialogue._files.library import open_library as open_library
from trialogue._files.library import tidy_folder as tidy_folder
from trialogue._files.upload import Upload as Upload
from trialogue._lists.feed import Feed as Feed
from trialogue._lists.feed import Feeds as Feeds
from trialogue._lists.imports import ImportJob as ImportJob
from trialogue._lists.imports import Imports as Imports
from trialogue._lists.imports import ImportState as ImportState
from trialogue._lists.imports import Skipped as Skipped
from trialogue._lists.listed import ConversationChanged as ConversationChanged
from trialogue._lists.listed import ConversationPurged as ConversationPurged
from trialogue._lists.listed import FileRemoved as FileRemoved
from trialogue._lists.listed import FileUpdated as FileUpdated
from trialogue._lists.listed import Listed as Listed
from trialogue._lists.listed import ListedRun as ListedRun
from trialogue._lists.listed import ListSnapshot as ListSnapshot
from trialogue._lists.sharing import Share as Share
from trialogue._lists.sharing import Shares as Shares
from trialogue._lists.sharing import lengths_of as lengths_of
from trialogue._paying.budgets import Budgets as Budgets
from trialogue._paying.ledger import Charge as Charge
from trialogue._paying.ledger import ChargePage as ChargePage
from trialogue._paying.ledger import Hold as Hold
from trialogue._paying.ledger import Judge as Judge
from trialogue._paying.ledger import Ledger as Ledger
from trialogue._paying.ledger import PayerKind as PayerKind
from trialogue._paying.ledger import Period as Period
from trialogue._paying.ledger import SpendingBudget as SpendingBudget
from trialogue._paying.ledger import Standing as Standing
from trialogue._paying.ledger import UsageGroup as UsageGroup
from trialogue._paying.ledger import UsagePage as UsagePage
from trialogue._paying.ledger import UsageSum as UsageSum
from trialogue._paying.ledger import check_usage_group as check_usage_group
from trialogue._paying.ledger import period_of as period_of
from trialogue._paying.prices import PriceList as PriceList
from trialogue._paying.prices import cost_of as cost_of
from trialogue._paying.prices import load_prices as load_prices
from trialogue._plugins.plugins import Plugins as Plugins
from trialogue._plugins.plugins import load_plugins as load_plugins
from trialogue._plugins.shelf import PluginInfo as PluginInfo
from trialogue._runs.turns import Generate as Generate
from trialogue._runs.turns import TurnContext as TurnContext
from trialogue._runs.turns import TurnEnd as TurnEnd
from trialogue._runs.turns import TurnHook as TurnHook
from trialogue._runs.turns import TurnLoop as TurnLoop
from trialogue._search.circle import box_of as box_of
from trialogue._search.embedder import Embedder as Embedder
from trialogue._search.search import Circle as Circle
from trialogue._search.search import Embedded as Embedded
from trialogue._search.search import Hit as Hit
from trialogue._search.search import HitKind as HitKind
from trialogue._search.search import HitPage as HitPage
from trialogue._search.search import Index as Index
from trialogue._search.search import Passage as Passage
from trialogue._search.search import SearchQuery as SearchQuery
from trialogue._search.search import Unembedded as Unembedded
from trialogue._search.search import distance as distance
from trialogue._search.searcher import Found as Found
from trialogue._search.searcher import Searcher as Searcher
from trialogue._search.searcher import SearchMode as SearchMode
from trialogue._search.searcher import open_searcher as open_searcher
from trialogue._search.showing import file_hit as file_hit
from trialogue._search.showing import message_hit as message_hit
from trialogue._search.showing import title_hit as title_hit
from trialogue._search.snippets import excerpt_of as excerpt_of
from trialogue._search.snippets import query_words as query_words
from trialogue._search.snippets import separated as separated
from trialogue._search.snippets import snippet_of as snippet_of
from trialogue._storage.checkup import Checkup as Checkup
from trialogue._storage.checkup import Finding as Finding
from trialogue._storage.limiter import Limiter as Limiter
from trialogue._storage.limiter import Quota as Quota
from trialogue._storage.limiter import Taken as Taken
from trialogue._storage.places import moment_cursor as moment_cursor
from trialogue._storage.places import moment_in as moment_in
from trialogue._storage.places import no_cursor as no_cursor
from trialogue._storage.places import place_cursor as place_cursor
from trialogue._storage.places import place_in as place_in
from trialogue._storage.soft import SoftState as SoftState
from trialogue._storage.soft import SoftStatistics as SoftStatistics
from trialogue._storage.soundness import Soundness as Soundness
from trialogue._storage.store import PAGE_BYTES as PAGE_BYTES
from trialogue._storage.store import SIBLINGS as SIBLINGS
from trialogue._storage.store import Claim as Claim
from trialogue._storage.store import ConversationPage as ConversationPage
from trialogue._storage.store import Done as Done
from trialogue._storage.store import Flush as Flush
from trialogue._storage.store import History as History
from trialogue._storage.store import MessageView as MessageView
from trialogue._storage.store import Store as Store
from trialogue._storage.store import StoreStatistics as StoreStatistics
from trialogue._storage.store import TreeView as TreeView
from trialogue._storage.store import Verdict as Verdict
from trialogue._storage.store import View as View
from trialogue._storage.transfer import AboutRecord as AboutRecord
from trialogue._storage.transfer import AccountRecord as AccountRecord
from trialogue._storage.transfer import AuditRecord as AuditRecord
from trialogue._storage.transfer import BudgetRecord as BudgetRecord
from trialogue._storage.transfer import ChargeRecord as ChargeRecord
from trialogue._storage.transfer import ContentRecord as ContentRecord
from trialogue._storage.transfer import ConversationRecord as ConversationRecord
from trialogue._storage.transfer import DeletionRecord as DeletionRecord
from trialogue._storage.transfer import EntryRecord as EntryRecord
from trialogue._storage.transfer import FileRecord as FileRecord
from trialogue._storage.transfer import IdentityRecord as IdentityRecord
from trialogue._storage.transfer import ImportRecord as ImportRecord
from trialogue._storage.transfer import InvitationRecord as InvitationRecord
from trialogue._storage.transfer import KeyRecord as KeyRecord
from trialogue._storage.transfer import Loader as Loader
from trialogue._storage.transfer import MentionRecord as MentionRecord
from trialogue._storage.transfer import MessageRecord as MessageRecord
from trialogue._storage.transfer import ReceiptRecord as ReceiptRecord
from trialogue._storage.transfer import Record as Record
from trialogue._storage.transfer import ResetRecord as ResetRecord
from trialogue._storage.transfer import SessionRecord as SessionRecord
from trialogue._storage.transfer import ShareRecord as ShareRecord
from trialogue._storage.transfer import Transfer as Transfer
from trialogue._storage.transfer import chunks_of as chunks_of
from trialogue._storage.transfer import decode_records as decode_records
from trialogue._storage.transfer import next_generation as next_generation
from trialogue._tools.function_tools import FunctionTool as FunctionTool
from trialogue._tools.function_tools import tool as tool
from trialogue._tools.owned_texts import OwnedText as OwnedText
from trialogue._tools.toolbox import Toolbox as Toolbox
from trialogue._tools.tools import Search as Search
from trialogue._tools.tools import Tool as Tool
from trialogue._tools.tools import ToolContext as ToolContext
from trialogue._tools.tools import ToolError as ToolError
from trialogue._tools.tools import ToolFile as ToolFile
from trialogue._tools.tools import ToolLike as ToolLike
from trialogue._tools.tools import ToolOutput as ToolOutput
from trialogue._tools.tools import ToolSource as ToolSource
from trialogue._watching.figures import Distribution as Distribution
from trialogue._watching.figures import Histogram as Histogram
from trialogue._watching.observer import Cause as Cause
from trialogue._watching.observer import CommandReport as CommandReport
from trialogue._watching.observer import CommitReport as CommitReport
from trialogue._watching.observer import Observer as Observer
from trialogue._watching.observer import RunReport as RunReport
from trialogue._watching.observer import Step as Step
from trialogue.hookspecs import hookimpl as hookimpl

__all__ = [  # noqa: RUF022 - as sorted() has it, which a test compares
    "AboutRecord",
    "AccountRecord",
    "Accounts",
    "Action",
    "AddMessages",
    "Admission",
    "Advance",
    "Advanced",
    "Answer",
    "AnswerApproval",
    "AnswerSchema",
    "ApiKey",
    "ApprovalAsked",
    "ApprovalGiven",
    "Aside",
    "Asked",
    "AskingLimits",
    "AuditEntry",
    "AuditPage",
    "AuditRecord",
    "Authenticator",
    "Backoff",
    "Beat",
    "Beginning",
    "Blobs",
    "Bounds",
    "BreakerLimits",
    "BreakerState",
    "BrokenError",
    "BudgetError",
    "BudgetRecord",
    "Budgets",
    "Bus",
    "Cause",
    "Charge",
    "ChargePage",
    "ChargeRecord",
    "Checkup",
    "Circle",
    "CitationPart",
    "CitationPiece",
    "Claim",
    "ClosedError",
    "Cluster",
    "Command",
    "CommandReport",
    "CommitReport",
    "CompactContext",
    "ConfigurationError",
    "ConflictError",
    "ContentRecord",
    "ContextCompacted",
    "ContinueAnswer",
    "Conversation",
    "ConversationChanged",
    "ConversationCreated",
    "ConversationPage",
    "ConversationPurged",
    "ConversationRecord",
    "ConversationUpdated",
    "CreateConversation",
    "Credentials",
    "Cursor",
    "DataPart",
    "Decision",
    "Deletion",
    "DeletionRecord",
    "Departure",
    "Distribution",
    "Done",
    "Ear",
    "EditMessage",
    "ElsewhereError",
    "Embedded",
    "Embedder",
    "EmbedderError",
    "Ended",
    "Engine",
    "Entry",
    "EntryRecord",
    "Event",
    "ExpireApprovals",
    "Extractor",
    "Failure",
    "FaultedError",
    "Feed",
    "Feeds",
    "FencedError",
    "File",
    "FileChanged",
    "FileLimits",
    "FileObserver",
    "FilePage",
    "FilePart",
    "FileRecord",
    "FileRemoved",
    "FileText",
    "FileUpdated",
    "FileView",
    "Files",
    "Finding",
    "FinishPiece",
    "FinishReason",
    "Flush",
    "ForbiddenError",
    "ForkConversation",
    "ForkedFrom",
    "Found",
    "FunctionTool",
    "Generate",
    "GenerationStarted",
    "GiveTitle",
    "HandlePiece",
    "HeadMoved",
    "HeaderLogin",
    "Health",
    "HealthStatus",
    "Histogram",
    "History",
    "Hit",
    "HitKind",
    "HitPage",
    "Hold",
    "Identity",
    "IdentityRecord",
    "ImportJob",
    "ImportRecord",
    "ImportState",
    "Imports",
    "InboxAdded",
    "InboxRemoved",
    "Index",
    "InvalidError",
    "Invitation",
    "InvitationPage",
    "InvitationRecord",
    "Item",
    "Joining",
    "Judge",
    "Kept",
    "KeyRecord",
    "Known",
    "LaneLimits",
    "LaneStatistics",
    "Ledger",
    "Library",
    "LimitError",
    "Limiter",
    "Limits",
    "ListSnapshot",
    "ListUnsure",
    "Listed",
    "ListedRun",
    "LiveRun",
    "Load",
    "Loader",
    "Location",
    "Member",
    "Members",
    "MentionRecord",
    "Message",
    "MessageAdded",
    "MessageRecord",
    "MessageRemoved",
    "MessageRevised",
    "MessageView",
    "Model",
    "ModelStatistics",
    "News",
    "NodeInfo",
    "Nodes",
    "NotFoundError",
    "Observer",
    "OpenCall",
    "Origin",
    "OwnedText",
    "Owner",
    "PAGE_BYTES",
    "Parcel",
    "Part",
    "PartAdded",
    "PartDelta",
    "PartEnded",
    "PartStarted",
    "Passage",
    "PayerKind",
    "Period",
    "Person",
    "Piece",
    "PluginInfo",
    "Plugins",
    "Policy",
    "Position",
    "PostMessage",
    "PriceList",
    "Prices",
    "Principal",
    "Provider",
    "ProviderError",
    "ProviderStatistics",
    "Pruned",
    "Purged",
    "Queued",
    "Quota",
    "QuotaError",
    "Rates",
    "Reader",
    "ReasoningPart",
    "ReasoningPiece",
    "Receipt",
    "ReceiptRecord",
    "Record",
    "Recover",
    "RedirectLogin",
    "Regenerate",
    "RemoveMessage",
    "Renewal",
    "Renewer",
    "Request",
    "RequestDocument",
    "RequestImage",
    "Reset",
    "ResetRecord",
    "ResponseStream",
    "Retention",
    "Role",
    "Round",
    "RunAttached",
    "RunCancelled",
    "RunCompleted",
    "RunEnded",
    "RunFailed",
    "RunIncomplete",
    "RunInterrupted",
    "RunReport",
    "RunStarted",
    "RunView",
    "RunWaiting",
    "SIBLINGS",
    "Scope",
    "Search",
    "SearchMode",
    "SearchQuery",
    "Searcher",
    "SecretAuthenticator",
    "Session",
    "SessionRecord",
    "Settings",
    "Share",
    "ShareRecord",
    "Shares",
    "Skipped",
    "Snapshot",
    "SoftState",
    "SoftStatistics",
    "Soundness",
    "Space",
    "SpendingBudget",
    "Standing",
    "State",
    "Status",
    "Step",
    "Steps",
    "Stop",
    "StorageError",
    "Store",
    "StoreStatistics",
    "Tail",
    "Taken",
    "Terms",
    "TextPart",
    "TextPiece",
    "TextState",
    "ThrottledError",
    "Tool",
    "ToolCallPart",
    "ToolCallPiece",
    "ToolCalled",
    "ToolChoice",
    "ToolContext",
    "ToolError",
    "ToolFile",
    "ToolLike",
    "ToolOutput",
    "ToolResultPart",
    "ToolReturned",
    "ToolSource",
    "ToolSpec",
    "ToolUse",
    "Toolbox",
    "Transfer",
    "Transport",
    "Tree",
    "TreeView",
    "TrialogueError",
    "TurnContext",
    "TurnEnd",
    "TurnHook",
    "TurnLoop",
    "UnauthenticatedError",
    "Unembedded",
    "UnreachableError",
    "UpdateConversation",
    "Upload",
    "Usage",
    "UsageGroup",
    "UsagePage",
    "UsagePiece",
    "UsageReported",
    "UsageSum",
    "User",
    "UserChange",
    "UserChanged",
    "UserPage",
    "UserRole",
    "Variant",
    "VariantKind",
    "Verdict",
    "View",
    "begin",
    "box_of",
    "call_id",
    "check_usage_group",
    "checked_email",
    "checked_name",
    "chunks_of",
    "cost_of",
    "decide",
    "decode_event",
    "decode_outcome",
    "decode_records",
    "distance",
    "encode_event",
    "encode_outcome",
    "encode_snapshot",
    "event_type",
    "evolve",
    "excerpt_of",
    "file_hit",
    "file_view",
    "files_of",
    "fold_answer",
    "frame",
    "frame_snapshot",
    "hookimpl",
    "is_id",
    "lengths_of",
    "load_plugins",
    "load_prices",
    "merge_patch",
    "message_hit",
    "moment_cursor",
    "moment_in",
    "names",
    "needs",
    "new_id",
    "next_generation",
    "no_cursor",
    "normal_email",
    "open_engine",
    "open_library",
    "open_searcher",
    "parse_cursor",
    "period_of",
    "place_cursor",
    "place_in",
    "query_words",
    "rounds_of",
    "seeded_ids",
    "separated",
    "settled",
    "snippet_of",
    "take_snapshot",
    "text_of",
    "tidy_folder",
    "title_hit",
    "tool",
    "with_siblings",
    "written",
]
