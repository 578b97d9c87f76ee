import asyncio
import json
import urllib.request

import litellm
from litellm import exceptions
from pydantic import BaseModel

import play
from play import check, equal, raises, said, upstreams

litellm.suppress_debug_info = True
litellm.telemetry = False
weather = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
# As its own proxy, and as any server that is compatible with OpenAI.
ways = {"litellm_proxy": play.url, "openai": f"{play.url}/v1"}

kinds = {
    "bad": (exceptions.BadRequestError, 400),
    "context": (exceptions.ContextWindowExceededError, 400),
    "key": (exceptions.AuthenticationError, 401),
    "forbidden": (exceptions.PermissionDeniedError, 403),
    "missing": (exceptions.NotFoundError, 404),
    "fast": (exceptions.RateLimitError, 429),
    "broken": (exceptions.InternalServerError, 500),
    "busy": (exceptions.ServiceUnavailableError, 503),
}
# Of a server that is merely compatible it knows fewer, and tells some by the words of OpenAI's own messages.
less = {
    "context": (exceptions.BadRequestError, 400),
    "forbidden": (exceptions.APIError, 403),
    "missing": ((exceptions.NotFoundError, exceptions.BadRequestError), None),
}


class City(BaseModel):
    city: str
    people: int


def ask(way, upstream, what, words="Hi", **more):
    return {
        "model": f"{way}/{play.model(upstream)}",
        "api_base": ways[way],
        "api_key": play.key,
        "messages": [{"role": "user", "content": said(what, words)}],
        "num_retries": 0,
        "max_retries": 0,
        **more,
    }


for way in ways:
    for upstream in upstreams:

        @check(f"{way}/ over {upstream}: whole and streamed")
        def _(way=way, upstream=upstream):
            answer = litellm.completion(**ask(way, upstream, "hello"))
            equal(answer.choices[0].message.content, "Hello, 世界!")
            equal(answer.usage.total_tokens, 1545)
            stream = litellm.completion(
                **ask(way, upstream, "hello", stream=True, stream_options={"include_usage": True})
            )
            chunks = list(stream)
            words = [c.choices[0].delta.content or "" for c in chunks if c.choices]
            equal("".join(words), "Hello, 世界!")
            equal(litellm.stream_chunk_builder(chunks).usage.completion_tokens, 345)

        @check(f"{way}/ over {upstream}: two calls at once, then the answer")
        async def _(way=way, upstream=upstream):
            more = ask(way, upstream, "tools", "(unsigned)", tools=[weather])
            first = (await litellm.acompletion(**more)).choices[0]
            equal(first.finish_reason, "tool_calls")
            calls = first.message.tool_calls
            equal([json.loads(call.function.arguments)["city"] for call in calls], play.cities)
            # As fast-agent does it: the message as it came, without what OpenAI does not know.
            message = {"role": "assistant", "content": None, "tool_calls": [
                {"id": c.id, "type": "function", "function": dict(c.function)} for c in calls
            ]}
            more["messages"] += [message] + [
                {"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in calls
            ]
            equal((await litellm.acompletion(**more)).choices[0].message.content, play.last_word)

        @check(f"{way}/ over {upstream}: a Pydantic model")
        def _(way=way, upstream=upstream):
            answer = litellm.completion(**ask(way, upstream, "object", response_format=City))
            equal(
                City.model_validate_json(answer.choices[0].message.content),
                City(city="Tromsø", people=77000),
            )

        @check(f"{way}/ over {upstream}: errors are the classes they were at the provider")
        def _(way=way, upstream=upstream):
            known = kinds if way == "litellm_proxy" else kinds | less
            for what, (kind, status) in known.items():
                for stream in (False, True):
                    more = ask(way, upstream, what, stream=stream)
                    error = raises(kind, lambda: litellm.completion(**more))
                    equal(error.status_code, status or error.status_code)
                    if way == "litellm_proxy":
                        equal(type(error), kind)

    @check(f"{way}/: the thoughts of the model, and what an effort is for")
    def _(way=way):
        for upstream in upstreams:
            more = ask(way, upstream, "tools", "(unsigned)", tools=[weather], reasoning_effort="high")
            more["allowed_openai_params"] = ["reasoning_effort"]
            message = litellm.completion(**more).choices[0].message
            equal(message.reasoning_content, play.thought)

    @check(f"{way}/: an error after the first words")
    def _(way=way):
        stream = litellm.completion(**ask(way, "chat", "later", stream=True))
        error = raises(exceptions.MidStreamFallbackError, lambda: list(stream))
        assert "it broke" in str(error), error

    @check(f"{way}/: a key that is none, and a model that is none")
    def _(way=way):
        more = ask(way, "chat", "hello") | {"api_key": "sk-wrong"}
        raises(exceptions.AuthenticationError, lambda: litellm.completion(**more), status_code=401)
        more = ask(way, "nobody", "hello")
        error = raises(exceptions.BadRequestError, lambda: litellm.completion(**more))
        assert "house-nobody" in str(error), error


@check("its Router, over two rows that lead to the same gateway")
async def _():
    where = ("model", "api_base", "api_key")
    rows = [
        {"model_name": "any", "litellm_params": {k: ask(way, "anthropic", "")[k] for k in where}}
        for way in ways
    ]
    router = litellm.Router(model_list=rows)
    messages = [{"role": "user", "content": said("hello")}]
    answers = await asyncio.gather(
        *(router.acompletion(model="any", messages=messages) for _ in range(4))
    )
    equal({a.choices[0].message.content for a in answers}, {"Hello, 世界!"})


@check("Responses and Messages by the library")
async def _():
    where = {"api_base": play.url, "api_key": play.key}
    answer = litellm.responses(
        model=f"litellm_proxy/{play.model('anthropic')}", input=said("hello"), **where
    )
    texts = [part.text for item in answer.output if item.type == "message" for part in item.content]
    equal(texts, ["Hello, 世界!"])
    told = await litellm.anthropic.messages.acreate(
        model=f"litellm_proxy/{play.model('gemini')}",
        messages=[{"role": "user", "content": said("hello")}],
        max_tokens=100,
        **where,
    )
    equal(told["content"][0]["text"], "Hello, 世界!")


@check("discovery: what it finds by itself")
def _():
    found = litellm.get_valid_models(
        check_provider_endpoint=True,
        custom_llm_provider="litellm_proxy",
        api_key=play.key,
        api_base=play.url,
    )
    equal(sorted(found), sorted(f"litellm_proxy/{play.model(upstream)}" for upstream in upstreams))


def get(path):
    request = urllib.request.Request(play.url + path, headers={"Authorization": f"Bearer {play.key}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@check("/v1/models, /model/info and /key/info")
def _():
    equal({one["id"] for one in get("/v1/models")["data"]}, {play.model(u) for u in upstreams})
    rows = {row["model_name"]: row for row in get("/model/info")["data"]}
    equal(set(rows), {play.model(upstream) for upstream in upstreams})
    row = rows[play.model("anthropic")]
    equal(row["litellm_params"]["model"], "anthropic/claude-sonnet-4-6")
    assert "api_key" not in row["litellm_params"], row
    equal(row["model_info"]["max_input_tokens"], 4096)
    assert row["model_info"]["input_cost_per_token"] > 0
    info = get("/key/info")
    equal(info["info"]["key_alias"], "python")
    assert play.key not in json.dumps(info)


play.main()
