"""What answers: any runnable that takes the conversation's messages and gives text. This one thinks twice."""

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda

BETTER = "Here is a draft of an answer to the last message. Give a better one.\n\n{draft}"


def chain(model: BaseChatModel) -> Runnable[list[BaseMessage], str]:
    """A draft first, and then what the model makes of it."""
    said = RunnableLambda(lambda messages: messages)
    better = ChatPromptTemplate.from_messages([MessagesPlaceholder("said"), ("human", BETTER)])
    return {"said": said, "draft": model | StrOutputParser()} | better | model | StrOutputParser()
