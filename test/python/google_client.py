from google import genai
from google.genai import errors, types
from pydantic import BaseModel

import play
from play import check, equal, raises, said, upstreams


def client_of(key, **options):
    return genai.Client(
        api_key=key, vertexai=False, http_options=types.HttpOptions(base_url=play.url, **options)
    )


client = client_of(play.key)


class City(BaseModel):
    city: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return f"rain in {city}"


asked = []

for upstream in upstreams:

    @check(f"over {upstream}: whole and streamed")
    def _(upstream=upstream):
        ask = {"model": play.model(upstream), "contents": said("hello")}
        answer = client.models.generate_content(**ask)
        equal(answer.text, "Hello, 世界!")
        equal(answer.usage_metadata.prompt_token_count, 1200)
        equal(answer.usage_metadata.cached_content_token_count, 200)
        chunks = list(client.models.generate_content_stream(**ask))
        equal("".join(chunk.text or "" for chunk in chunks), "Hello, 世界!")
        equal(chunks[-1].usage_metadata.total_token_count, 1545)

    for streamed in (False, True):

        @check(f"over {upstream}: the client calls a function twice{', streamed' * streamed}")
        def _(upstream=upstream, streamed=streamed):
            asked.clear()
            config = types.GenerateContentConfig(
                tools=[weather],
                thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=2000),
            )
            talk = client.chats.create(model=play.model(upstream), config=config)
            if streamed:
                words = [
                    part.text or ""
                    for chunk in talk.send_message_stream(said("tools"))
                    for candidate in chunk.candidates or []
                    for part in (candidate.content and candidate.content.parts) or []
                    if not part.thought
                ]
                equal("".join(words), play.last_word)
            else:
                equal(talk.send_message(said("tools")).text, play.last_word)
            equal(asked, play.cities)

    @check(f"over {upstream}: a Pydantic model")
    def _(upstream=upstream):
        answer = client.models.generate_content(
            model=play.model(upstream),
            contents=said("object"),
            config={"response_mime_type": "application/json", "response_schema": City},
        )
        equal(answer.parsed, City(city="Tromsø", people=77000))

    @check(f"over {upstream}: a picture, and tokens are counted")
    def _(upstream=upstream):
        contents = [types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"), said("hello")]
        ask = {"model": play.model(upstream), "contents": contents}
        equal(client.models.generate_content(**ask).text, "Hello, 世界!")
        assert client.models.count_tokens(**ask).total_tokens > 3

    @check(f"errors of {upstream} are the client's own classes")
    def _(upstream=upstream):
        for what, kind, code, status in (
            ("bad", errors.ClientError, 400, "INVALID_ARGUMENT"),
            ("key", errors.ClientError, 401, "UNAUTHENTICATED"),
            ("forbidden", errors.ClientError, 403, "PERMISSION_DENIED"),
            ("missing", errors.ClientError, 404, "NOT_FOUND"),
            ("fast", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
            ("broken", errors.ServerError, 500, "INTERNAL"),
            ("busy", errors.ServerError, 503, "UNAVAILABLE"),
        ):
            ask = {"model": play.model(upstream), "contents": said(what)}
            raises(kind, lambda: client.models.generate_content(**ask), code=code, status=status)
            stream = lambda: list(client.models.generate_content_stream(**ask))  # noqa: E731
            raises(kind, stream, code=code, status=status)


@check("the versions of the API")
def _():
    for version in ("v1", "v1beta"):
        own = client_of(play.key, api_version=version)
        ask = {"model": play.model("anthropic"), "contents": said("hello")}
        answer = own.models.generate_content(**ask)
        equal(answer.text, "Hello, 世界!")


@check("the asynchronous client")
async def _():
    ask = {"model": play.model("responses"), "contents": said("hello")}
    own = client_of(play.key)
    equal((await own.aio.models.generate_content(**ask)).text, "Hello, 世界!")


@check("discovery, and a key that is none")
def _():
    names = [model.name for model in client.models.list()]
    assert any(name.endswith(play.model("chat")) for name in names), names
    found = client.models.get(model=play.model("chat"))
    assert found.name.endswith(play.model("chat")), found
    ask = {"model": play.model("chat"), "contents": said("hello")}
    other = client_of("sk-wrong")
    raises(errors.ClientError, lambda: other.models.generate_content(**ask), code=401)


play.main()
