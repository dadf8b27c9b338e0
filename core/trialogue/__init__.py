"""Trialogue's core: user, model and tools in one durable, live conversation.

Layers, each importing only from those above it:

    _errors, _ids, _values                    what there is
    _events, _commands, _state, _decide, ...  the pure core: a log, its fold, and what a command does to it
    _provider, _tools, _store, hookspecs, ... ports: what plugins implement
    _supervisor, _tail, _flusher, _cell, ...  the runtime: one actor per conversation
    testing                                   fakes and conformance kits

Beside them stands what plugins of providers build on: openai_dialect and anthropic_dialect (pure), sdk_provider, and
upstreams, which alone speaks HTTP and is imported by nobody here before a provider asks.

Modules that begin with an underscore are not API; everything public is importable from here.
"""

from trialogue._account_rules import checked_email as checked_email
from trialogue._account_rules import checked_name as checked_name
from trialogue._account_rules import normal_email as normal_email
from trialogue._account_values import Admission as Admission
from trialogue._account_values import Deletion as Deletion
from trialogue._account_values import Identity as Identity
from trialogue._account_values import Invitation as Invitation
from trialogue._account_values import InvitationPage as InvitationPage
from trialogue._account_values import Reset as Reset
from trialogue._account_values import UserChange as UserChange
from trialogue._account_values import UserPage as UserPage
from trialogue._accounts import Accounts as Accounts
from trialogue._answer import Answer as Answer
from trialogue._answer import fold_answer as fold_answer
from trialogue._asking import AskingLimits as AskingLimits
from trialogue._asking import ProviderStatistics as ProviderStatistics
from trialogue._audit import Action as Action
from trialogue._audit import AuditEntry as AuditEntry
from trialogue._audit import AuditPage as AuditPage
from trialogue._audit import Origin as Origin
from trialogue._auth import ApiKey as ApiKey
from trialogue._auth import Authenticator as Authenticator
from trialogue._auth import Credentials as Credentials
from trialogue._auth import Principal as Principal
from trialogue._auth import Scope as Scope
from trialogue._auth import SecretAuthenticator as SecretAuthenticator
from trialogue._auth import Session as Session
from trialogue._auth import User as User
from trialogue._auth import UserRole as UserRole
from trialogue._backoff import Backoff as Backoff
from trialogue._blob_streams import Reader as Reader
from trialogue._blobs import Blobs as Blobs
from trialogue._breaker import BreakerLimits as BreakerLimits
from trialogue._breaker import BreakerState as BreakerState
from trialogue._budgets import Budgets as Budgets
from trialogue._bus import Bus as Bus
from trialogue._bus import Ear as Ear
from trialogue._checkup import Checkup as Checkup
from trialogue._checkup import Finding as Finding
from trialogue._circle import box_of as box_of
from trialogue._circuits import ModelStatistics as ModelStatistics
from trialogue._cluster import Cluster as Cluster
from trialogue._cluster import Joining as Joining
from trialogue._commands import AddMessages as AddMessages
from trialogue._commands import AnswerApproval as AnswerApproval
from trialogue._commands import Command as Command
from trialogue._commands import ContinueAnswer as ContinueAnswer
from trialogue._commands import CreateConversation as CreateConversation
from trialogue._commands import EditMessage as EditMessage
from trialogue._commands import ExpireApprovals as ExpireApprovals
from trialogue._commands import ForkConversation as ForkConversation
from trialogue._commands import GiveTitle as GiveTitle
from trialogue._commands import Known as Known
from trialogue._commands import PostMessage as PostMessage
from trialogue._commands import Receipt as Receipt
from trialogue._commands import Recover as Recover
from trialogue._commands import Regenerate as Regenerate
from trialogue._commands import RemoveMessage as RemoveMessage
from trialogue._commands import Stop as Stop
from trialogue._commands import UpdateConversation as UpdateConversation
from trialogue._commands import names as names
from trialogue._commands import needs as needs
from trialogue._cursor import Cursor as Cursor
from trialogue._cursor import frame as frame
from trialogue._cursor import parse_cursor as parse_cursor
from trialogue._decide import Decision as Decision
from trialogue._decide import decide as decide
from trialogue._embedder import Embedder as Embedder
from trialogue._engine import Engine as Engine
from trialogue._engine import open_engine as open_engine
from trialogue._errors import BrokenError as BrokenError
from trialogue._errors import BudgetError as BudgetError
from trialogue._errors import ClosedError as ClosedError
from trialogue._errors import ConfigurationError as ConfigurationError
from trialogue._errors import ConflictError as ConflictError
from trialogue._errors import ElsewhereError as ElsewhereError
from trialogue._errors import EmbedderError as EmbedderError
from trialogue._errors import FaultedError as FaultedError
from trialogue._errors import FencedError as FencedError
from trialogue._errors import ForbiddenError as ForbiddenError
from trialogue._errors import InvalidError as InvalidError
from trialogue._errors import LimitError as LimitError
from trialogue._errors import NotFoundError as NotFoundError
from trialogue._errors import ProviderError as ProviderError
from trialogue._errors import QuotaError as QuotaError
from trialogue._errors import StorageError as StorageError
from trialogue._errors import ThrottledError as ThrottledError
from trialogue._errors import TrialogueError as TrialogueError
from trialogue._errors import UnauthenticatedError as UnauthenticatedError
from trialogue._events import ApprovalAsked as ApprovalAsked
from trialogue._events import ApprovalGiven as ApprovalGiven
from trialogue._events import ConversationCreated as ConversationCreated
from trialogue._events import ConversationUpdated as ConversationUpdated
from trialogue._events import Entry as Entry
from trialogue._events import Event as Event
from trialogue._events import GenerationStarted as GenerationStarted
from trialogue._events import HeadMoved as HeadMoved
from trialogue._events import InboxAdded as InboxAdded
from trialogue._events import InboxRemoved as InboxRemoved
from trialogue._events import MessageAdded as MessageAdded
from trialogue._events import MessageRemoved as MessageRemoved
from trialogue._events import MessageRevised as MessageRevised
from trialogue._events import OpenCall as OpenCall
from trialogue._events import PartAdded as PartAdded
from trialogue._events import PartDelta as PartDelta
from trialogue._events import PartEnded as PartEnded
from trialogue._events import PartStarted as PartStarted
from trialogue._events import Queued as Queued
from trialogue._events import RunAttached as RunAttached
from trialogue._events import RunCancelled as RunCancelled
from trialogue._events import RunCompleted as RunCompleted
from trialogue._events import RunEnded as RunEnded
from trialogue._events import RunFailed as RunFailed
from trialogue._events import RunIncomplete as RunIncomplete
from trialogue._events import RunInterrupted as RunInterrupted
from trialogue._events import RunStarted as RunStarted
from trialogue._events import RunWaiting as RunWaiting
from trialogue._events import Titled as Titled
from trialogue._events import ToolCalled as ToolCalled
from trialogue._events import ToolReturned as ToolReturned
from trialogue._events import UsageReported as UsageReported
from trialogue._events import decode_event as decode_event
from trialogue._events import encode_event as encode_event
from trialogue._events import event_type as event_type
from trialogue._extractor import Extractor as Extractor
from trialogue._feed import Feed as Feed
from trialogue._feed import Feeds as Feeds
from trialogue._figures import Distribution as Distribution
from trialogue._figures import Histogram as Histogram
from trialogue._files import File as File
from trialogue._files import FilePage as FilePage
from trialogue._files import Files as Files
from trialogue._files import FileText as FileText
from trialogue._files import FileView as FileView
from trialogue._files import Space as Space
from trialogue._files import TextState as TextState
from trialogue._files import Variant as Variant
from trialogue._files import VariantKind as VariantKind
from trialogue._files import file_view as file_view
from trialogue._function_tools import FunctionTool as FunctionTool
from trialogue._function_tools import tool as tool
from trialogue._health import Health as Health
from trialogue._health import HealthStatus as HealthStatus
from trialogue._history import Beginning as Beginning
from trialogue._history import settled as settled
from trialogue._identity import Departure as Departure
from trialogue._identity import HeaderLogin as HeaderLogin
from trialogue._identity import Person as Person
from trialogue._identity import RedirectLogin as RedirectLogin
from trialogue._ids import is_id as is_id
from trialogue._ids import new_id as new_id
from trialogue._ids import seeded_ids as seeded_ids
from trialogue._imports import ImportJob as ImportJob
from trialogue._imports import Imports as Imports
from trialogue._imports import ImportState as ImportState
from trialogue._imports import Skipped as Skipped
from trialogue._inspection import Bounds as Bounds
from trialogue._lane import LaneLimits as LaneLimits
from trialogue._lane import LaneStatistics as LaneStatistics
from trialogue._ledger import Charge as Charge
from trialogue._ledger import ChargePage as ChargePage
from trialogue._ledger import Hold as Hold
from trialogue._ledger import Judge as Judge
from trialogue._ledger import Ledger as Ledger
from trialogue._ledger import PayerKind as PayerKind
from trialogue._ledger import Period as Period
from trialogue._ledger import SpendingBudget as SpendingBudget
from trialogue._ledger import Standing as Standing
from trialogue._ledger import UsageGroup as UsageGroup
from trialogue._ledger import UsagePage as UsagePage
from trialogue._ledger import UsageSum as UsageSum
from trialogue._ledger import check_usage_group as check_usage_group
from trialogue._ledger import period_of as period_of
from trialogue._library import FileLimits as FileLimits
from trialogue._library import FileObserver as FileObserver
from trialogue._library import Library as Library
from trialogue._library import open_library as open_library
from trialogue._limiter import Limiter as Limiter
from trialogue._limiter import Quota as Quota
from trialogue._limiter import Taken as Taken
from trialogue._limits import Limits as Limits
from trialogue._listed import ConversationChanged as ConversationChanged
from trialogue._listed import ConversationPurged as ConversationPurged
from trialogue._listed import FileRemoved as FileRemoved
from trialogue._listed import FileUpdated as FileUpdated
from trialogue._listed import Listed as Listed
from trialogue._listed import ListedRun as ListedRun
from trialogue._listed import ListSnapshot as ListSnapshot
from trialogue._merge import merge_patch as merge_patch
from trialogue._news import Advance as Advance
from trialogue._news import Advanced as Advanced
from trialogue._news import Asked as Asked
from trialogue._news import Beat as Beat
from trialogue._news import Ended as Ended
from trialogue._news import FileChanged as FileChanged
from trialogue._news import Item as Item
from trialogue._news import ListUnsure as ListUnsure
from trialogue._news import News as News
from trialogue._news import Purged as Purged
from trialogue._news import UserChanged as UserChanged
from trialogue._nodes import Kept as Kept
from trialogue._nodes import Load as Load
from trialogue._nodes import Member as Member
from trialogue._nodes import Members as Members
from trialogue._nodes import NodeInfo as NodeInfo
from trialogue._nodes import Nodes as Nodes
from trialogue._nodes import Owner as Owner
from trialogue._nodes import Position as Position
from trialogue._nodes import Renewal as Renewal
from trialogue._nodes import Renewer as Renewer
from trialogue._observer import Cause as Cause
from trialogue._observer import CommandReport as CommandReport
from trialogue._observer import CommitReport as CommitReport
from trialogue._observer import Observer as Observer
from trialogue._observer import RunReport as RunReport
from trialogue._observer import Step as Step
from trialogue._outcomes import decode_outcome as decode_outcome
from trialogue._outcomes import encode_outcome as encode_outcome
from trialogue._owned_texts import OwnedText as OwnedText
from trialogue._plugins import PluginInfo as PluginInfo
from trialogue._plugins import Plugins as Plugins
from trialogue._plugins import load_plugins as load_plugins
from trialogue._prices import PriceList as PriceList
from trialogue._prices import cost_of as cost_of
from trialogue._prices import load_prices as load_prices
from trialogue._provider import CitationPiece as CitationPiece
from trialogue._provider import FinishPiece as FinishPiece
from trialogue._provider import HandlePiece as HandlePiece
from trialogue._provider import Piece as Piece
from trialogue._provider import Provider as Provider
from trialogue._provider import ReasoningPiece as ReasoningPiece
from trialogue._provider import Request as Request
from trialogue._provider import RequestDocument as RequestDocument
from trialogue._provider import RequestImage as RequestImage
from trialogue._provider import ResponseStream as ResponseStream
from trialogue._provider import TextPiece as TextPiece
from trialogue._provider import ToolCallPiece as ToolCallPiece
from trialogue._provider import UsagePiece as UsagePiece
from trialogue._rounds import Round as Round
from trialogue._rounds import rounds_of as rounds_of
from trialogue._search import Circle as Circle
from trialogue._search import Embedded as Embedded
from trialogue._search import Hit as Hit
from trialogue._search import HitKind as HitKind
from trialogue._search import HitPage as HitPage
from trialogue._search import Index as Index
from trialogue._search import Passage as Passage
from trialogue._search import SearchQuery as SearchQuery
from trialogue._search import Unembedded as Unembedded
from trialogue._search import distance as distance
from trialogue._searcher import Found as Found
from trialogue._searcher import Searcher as Searcher
from trialogue._searcher import SearchMode as SearchMode
from trialogue._searcher import open_searcher as open_searcher
from trialogue._sharing import Share as Share
from trialogue._sharing import Shares as Shares
from trialogue._sharing import lengths_of as lengths_of
from trialogue._showing import file_hit as file_hit
from trialogue._showing import message_hit as message_hit
from trialogue._showing import title_hit as title_hit
from trialogue._snapshot import RunView as RunView
from trialogue._snapshot import Snapshot as Snapshot
from trialogue._snapshot import Tree as Tree
from trialogue._snapshot import encode_snapshot as encode_snapshot
from trialogue._snapshot import frame_snapshot as frame_snapshot
from trialogue._snapshot import take_snapshot as take_snapshot
from trialogue._snapshot import with_siblings as with_siblings
from trialogue._snapshot import written as written
from trialogue._snippets import excerpt_of as excerpt_of
from trialogue._snippets import query_words as query_words
from trialogue._snippets import separated as separated
from trialogue._snippets import snippet_of as snippet_of
from trialogue._soft import SoftState as SoftState
from trialogue._soft import SoftStatistics as SoftStatistics
from trialogue._soundness import Soundness as Soundness
from trialogue._state import LiveRun as LiveRun
from trialogue._state import State as State
from trialogue._state import Steps as Steps
from trialogue._state import begin as begin
from trialogue._state import evolve as evolve
from trialogue._store import PAGE_BYTES as PAGE_BYTES
from trialogue._store import SIBLINGS as SIBLINGS
from trialogue._store import Claim as Claim
from trialogue._store import ConversationPage as ConversationPage
from trialogue._store import Done as Done
from trialogue._store import Flush as Flush
from trialogue._store import History as History
from trialogue._store import Store as Store
from trialogue._store import StoreStatistics as StoreStatistics
from trialogue._store import TreeView as TreeView
from trialogue._store import Verdict as Verdict
from trialogue._store import View as View
from trialogue._tail import Tail as Tail
from trialogue._toolbox import Toolbox as Toolbox
from trialogue._tools import Search as Search
from trialogue._tools import Tool as Tool
from trialogue._tools import ToolContext as ToolContext
from trialogue._tools import ToolError as ToolError
from trialogue._tools import ToolLike as ToolLike
from trialogue._tools import ToolOutput as ToolOutput
from trialogue._tools import ToolSource as ToolSource
from trialogue._transfer import AboutRecord as AboutRecord
from trialogue._transfer import AccountRecord as AccountRecord
from trialogue._transfer import AuditRecord as AuditRecord
from trialogue._transfer import BudgetRecord as BudgetRecord
from trialogue._transfer import ChargeRecord as ChargeRecord
from trialogue._transfer import ContentRecord as ContentRecord
from trialogue._transfer import ConversationRecord as ConversationRecord
from trialogue._transfer import DeletionRecord as DeletionRecord
from trialogue._transfer import EntryRecord as EntryRecord
from trialogue._transfer import FileRecord as FileRecord
from trialogue._transfer import IdentityRecord as IdentityRecord
from trialogue._transfer import ImportRecord as ImportRecord
from trialogue._transfer import InvitationRecord as InvitationRecord
from trialogue._transfer import KeyRecord as KeyRecord
from trialogue._transfer import Loader as Loader
from trialogue._transfer import MentionRecord as MentionRecord
from trialogue._transfer import MessageRecord as MessageRecord
from trialogue._transfer import ReceiptRecord as ReceiptRecord
from trialogue._transfer import Record as Record
from trialogue._transfer import ResetRecord as ResetRecord
from trialogue._transfer import SessionRecord as SessionRecord
from trialogue._transfer import ShareRecord as ShareRecord
from trialogue._transfer import Transfer as Transfer
from trialogue._transfer import chunks_of as chunks_of
from trialogue._transfer import decode_records as decode_records
from trialogue._transfer import next_generation as next_generation
from trialogue._transport import Parcel as Parcel
from trialogue._transport import Transport as Transport
from trialogue._transport import UnreachableError as UnreachableError
from trialogue._turns import Generate as Generate
from trialogue._turns import TurnContext as TurnContext
from trialogue._turns import TurnEnd as TurnEnd
from trialogue._turns import TurnHook as TurnHook
from trialogue._turns import TurnLoop as TurnLoop
from trialogue._upload import Upload as Upload
from trialogue._values import AnswerSchema as AnswerSchema
from trialogue._values import CitationPart as CitationPart
from trialogue._values import Conversation as Conversation
from trialogue._values import DataPart as DataPart
from trialogue._values import Failure as Failure
from trialogue._values import FilePart as FilePart
from trialogue._values import FinishReason as FinishReason
from trialogue._values import ForkedFrom as ForkedFrom
from trialogue._values import Location as Location
from trialogue._values import Message as Message
from trialogue._values import Model as Model
from trialogue._values import Part as Part
from trialogue._values import Policy as Policy
from trialogue._values import Prices as Prices
from trialogue._values import Rates as Rates
from trialogue._values import ReasoningPart as ReasoningPart
from trialogue._values import Role as Role
from trialogue._values import Settings as Settings
from trialogue._values import Status as Status
from trialogue._values import Terms as Terms
from trialogue._values import TextPart as TextPart
from trialogue._values import ToolCallPart as ToolCallPart
from trialogue._values import ToolChoice as ToolChoice
from trialogue._values import ToolResultPart as ToolResultPart
from trialogue._values import ToolSpec as ToolSpec
from trialogue._values import ToolUse as ToolUse
from trialogue._values import Usage as Usage
from trialogue._values import call_id as call_id
from trialogue._values import text_of as text_of
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
    "ConfigurationError",
    "ConflictError",
    "ContentRecord",
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
    "Titled",
    "Tool",
    "ToolCallPart",
    "ToolCallPiece",
    "ToolCalled",
    "ToolChoice",
    "ToolContext",
    "ToolError",
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
    "names",
    "needs",
    "new_id",
    "next_generation",
    "normal_email",
    "open_engine",
    "open_library",
    "open_searcher",
    "parse_cursor",
    "period_of",
    "query_words",
    "rounds_of",
    "seeded_ids",
    "separated",
    "settled",
    "snippet_of",
    "take_snapshot",
    "text_of",
    "title_hit",
    "tool",
    "with_siblings",
    "written",
]
