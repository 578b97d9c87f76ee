import anthropic
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

import play
from play import check, equal, raises, said, upstreams

client = Anthropic(api_key=play.key, base_url=play.url, max_retries=0)
tools = [
    {
        "name": "weather",
        "description": "The weather of a city",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]


class City(BaseModel):
    city: str
    people: int


def ask(upstream, what, **more):
    return {
        "model": play.model(upstream),
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": said(what)}],
        **more,
    }


for upstream in upstreams:

    @check(f"over {upstream}: whole and streamed")
    def _(upstream=upstream):
        answer = client.messages.create(**ask(upstream, "hello"))
        equal([block.text for block in answer.content], ["Hello, 世界!"])
        equal((answer.model, answer.stop_reason), (play.model(upstream), "end_turn"))
        equal((answer.usage.input_tokens, answer.usage.cache_read_input_tokens), (1000, 200))
        with client.messages.stream(**ask(upstream, "hello")) as stream:
            equal("".join(stream.text_stream), "Hello, 世界!")
            equal(stream.get_final_message().usage.output_tokens, 345)

    for streamed in (False, True):

        @check(f"over {upstream}: two calls at once, then the answer{', streamed' * streamed}")
        def _(upstream=upstream, streamed=streamed):
            def turn(**more):
                if not streamed:
                    return client.messages.create(**more)
                with client.messages.stream(**more) as stream:
                    return stream.get_final_message()

            more = ask(upstream, "tools", tools=tools)
            more["thinking"] = {"type": "enabled", "budget_tokens": 2000}
            first = turn(**more)
            equal([b.thinking for b in first.content if b.type == "thinking"], [play.thought])
            calls = [block for block in first.content if block.type == "tool_use"]
            equal([call.input["city"] for call in calls], play.cities)
            equal(first.stop_reason, "tool_use")
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls
            ]
            more["messages"] += [
                {"role": "assistant", "content": first.content},
                {"role": "user", "content": results},
            ]
            equal(turn(**more).content[0].text, play.last_word)

    @check(f"over {upstream}: a Pydantic model")
    def _(upstream=upstream):
        answer = client.messages.parse(**ask(upstream, "object", output_format=City))
        equal(answer.parsed_output, City(city="Tromsø", people=77000))

    @check(f"over {upstream}: tokens are counted")
    def _(upstream=upstream):
        more = ask(upstream, "hello")
        del more["max_tokens"]
        counted = client.messages.count_tokens(**more)
        assert 3 < counted.input_tokens < 100, counted

    @check(f"errors of {upstream} are the client's own classes")
    def _(upstream=upstream):
        for what, kind, status in (
            ("bad", anthropic.BadRequestError, 400),
            ("context", anthropic.BadRequestError, 400),
            ("key", anthropic.AuthenticationError, 401),
            ("forbidden", anthropic.PermissionDeniedError, 403),
            ("missing", anthropic.NotFoundError, 404),
            ("fast", anthropic.RateLimitError, 429),
            ("broken", anthropic.InternalServerError, 500),
            ("busy", anthropic.InternalServerError, 503),
        ):
            for stream in (False, True):
                more = ask(upstream, what, stream=stream)
                error = raises(kind, lambda: client.messages.create(**more), status_code=status)
                equal(error.body["type"], "error")


@check("an error after the first words")
def _():
    error = raises(
        anthropic.APIError, lambda: list(client.messages.create(**ask("chat", "later", stream=True)))
    )
    assert "it broke" in str(error), error


@check("the asynchronous client, and a key as a bearer")
async def _():
    async with AsyncAnthropic(auth_token=play.key, base_url=play.url) as own:
        answer = await own.messages.create(**ask("gemini", "hello"))
    equal(answer.content[0].text, "Hello, 世界!")


@check("discovery, and a key that is none")
def _():
    assert play.model("chat") in [model.id for model in client.models.list()]
    other = Anthropic(api_key="sk-wrong", base_url=play.url)
    raises(anthropic.AuthenticationError, lambda: other.messages.create(**ask("chat", "hello")))


play.main()
