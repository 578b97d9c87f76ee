import asyncio
import json

import openai
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import BaseModel

import play
from play import check, equal, raises, said, upstreams

client = OpenAI(api_key=play.key, base_url=f"{play.url}/v1", max_retries=0)
weather = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class City(BaseModel):
    city: str
    people: int


def chat(upstream, what, **more):
    messages = [{"role": "user", "content": said(what)}]
    return client.chat.completions.create(model=play.model(upstream), messages=messages, **more)


for upstream in upstreams:

    @check(f"chat over {upstream}: whole")
    def _(upstream=upstream):
        answer = chat(upstream, "hello")
        equal(answer.choices[0].message.content, "Hello, 世界!")
        equal(answer.model, play.model(upstream))
        equal(answer.usage.total_tokens, 1545)
        equal(answer.usage.prompt_tokens_details.cached_tokens, 200)

    @check(f"chat over {upstream}: streamed")
    def _(upstream=upstream):
        chunks = list(chat(upstream, "hello", stream=True, stream_options={"include_usage": True}))
        equal("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), "Hello, 世界!")
        equal(len({c.id for c in chunks}), 1)
        equal(chunks[-1].choices, [])
        equal(chunks[-1].usage.completion_tokens, 345)

    @check(f"chat over {upstream}: two calls at once, then the answer")
    def _(upstream=upstream):
        tools = [{"type": "function", "function": {"name": "weather", "parameters": weather}}]
        messages = [{"role": "user", "content": said("tools", "(unsigned)")}]
        ask = {"model": play.model(upstream), "tools": tools}
        with client.chat.completions.stream(messages=messages, **ask) as stream:
            first = stream.get_final_completion().choices[0]
        equal(first.finish_reason, "tool_calls")
        calls = first.message.tool_calls
        equal([json.loads(call.function.arguments)["city"] for call in calls], play.cities)
        messages.append({"role": "assistant", "tool_calls": [
            {"id": call.id, "type": "function", "function": {"name": "weather", "arguments": call.function.arguments}}
            for call in calls
        ]})
        messages += [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in calls]
        answer = client.chat.completions.create(messages=messages, **ask)
        equal(answer.choices[0].message.content, play.last_word)

    @check(f"chat over {upstream}: a Pydantic model")
    def _(upstream=upstream):
        answer = client.chat.completions.parse(
            model=play.model(upstream),
            messages=[{"role": "user", "content": said("object")}],
            response_format=City,
        )
        equal(answer.choices[0].message.parsed, City(city="Tromsø", people=77000))

    @check(f"Responses over {upstream}: whole, streamed, and a Pydantic model")
    def _(upstream=upstream):
        ask = {"model": play.model(upstream), "input": said("hello")}
        answer = client.responses.create(**ask)
        equal(answer.output_text, "Hello, 世界!")
        equal(answer.usage.input_tokens_details.cached_tokens, 200)
        with client.responses.stream(**ask) as stream:
            words = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            equal(stream.get_final_response().output_text, words)
        equal(words, "Hello, 世界!")
        parsed = client.responses.parse(
            model=play.model(upstream), input=said("object"), text_format=City
        )
        equal(parsed.output_parsed, City(city="Tromsø", people=77000))

    @check(f"Responses over {upstream}: two calls at once, then the answer")
    def _(upstream=upstream):
        ask = {
            "model": play.model(upstream),
            "tools": [{"type": "function", "name": "weather", "parameters": weather, "strict": True}],
            "reasoning": {"effort": "high", "summary": "auto"},
            "include": ["reasoning.encrypted_content"],
            "store": False,
        }
        talk = [{"role": "user", "content": said("tools")}]
        first = client.responses.create(input=talk, **ask)
        thoughts = [i.summary[0].text for i in first.output if i.type == "reasoning"]
        equal(thoughts, [play.thought])
        calls = [i for i in first.output if i.type == "function_call"]
        equal([json.loads(call.arguments)["city"] for call in calls], play.cities)
        talk += first.output
        talk += [
            {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
            for call in calls
        ]
        equal(client.responses.create(input=talk, **ask).output_text, play.last_word)

    @check(f"errors of {upstream} are the client's own classes")
    def _(upstream=upstream):
        for what, kind, status in (
            ("bad", openai.BadRequestError, 400),
            ("context", openai.BadRequestError, 400),
            ("key", openai.AuthenticationError, 401),
            ("forbidden", openai.PermissionDeniedError, 403),
            ("missing", openai.NotFoundError, 404),
            ("fast", openai.RateLimitError, 429),
            ("broken", openai.InternalServerError, 500),
            ("busy", openai.InternalServerError, 503),
        ):
            for stream in (False, True):
                error = raises(kind, lambda: chat(upstream, what, stream=stream), status_code=status)
                if what == "context":
                    assert "ContextWindowExceededError" in str(error), error


@check("an error after the first words")
def _():
    error = raises(openai.APIError, lambda: list(chat("chat", "later", stream=True)))
    assert "it broke" in str(error), error


@check("the asynchronous client")
async def _():
    async with AsyncOpenAI(api_key=play.key, base_url=f"{play.url}/v1") as own:
        answers = await asyncio.gather(*(
            own.chat.completions.create(
                model=play.model(upstream), messages=[{"role": "user", "content": said("hello")}]
            )
            for upstream in upstreams
        ))
    equal({a.choices[0].message.content for a in answers}, {"Hello, 世界!"})


@check("Azure's client")
def _():
    own = AzureOpenAI(azure_endpoint=play.url, api_key=play.key, api_version="2025-04-01-preview")
    answer = own.chat.completions.create(
        model=play.model("anthropic"), messages=[{"role": "user", "content": said("hello")}]
    )
    equal(answer.choices[0].message.content, "Hello, 世界!")


@check("discovery, and a key that is none")
def _():
    equal([m.id for m in client.models.list()], [
        play.model(upstream) for upstream in ("anthropic", "chat", "responses", "gemini")
    ])
    equal(client.models.retrieve(play.model("chat")).id, play.model("chat"))
    raises(openai.NotFoundError, lambda: client.models.retrieve("nobody"))
    other = OpenAI(api_key="sk-wrong", base_url=f"{play.url}/v1")
    raises(openai.AuthenticationError, lambda: other.models.list())


play.main()
