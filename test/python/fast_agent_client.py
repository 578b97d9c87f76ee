import json
import pathlib

import play
from play import check, equal, said

# fast-agent reads its keys and addresses from a file in the working directory.
v1 = f"{play.url}/v1"
providers = {
    "generic": {"base_url": v1},
    "openai": {"base_url": v1},
    "responses": {"base_url": v1},
    "anthropic": {"base_url": play.url},
}
config = {
    **{name: {"api_key": play.key, **more} for name, more in providers.items()},
    "logger": {"type": "none", "progress_display": False, "show_chat": False, "show_tools": False},
}
pathlib.Path("fastagent.config.yaml").write_text(json.dumps(config))

from fast_agent import FastAgent, RequestParams  # noqa: E402
from pydantic import BaseModel  # noqa: E402


class City(BaseModel):
    city: str
    people: int


def weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return f"rain in {city}"


asked = []
# Of a Claude it does not know by name it does not know how much it may say.
params = RequestParams(maxTokens=2000)


def agents(model, **more):
    fast = FastAgent("house", parse_cli_args=False, quiet=True)

    @fast.agent(name="house", instruction="Be brief.", model=model, request_params=params, **more)
    async def _():
        pass

    return fast


for provider in providers:
    for upstream in play.upstreams:
        model = f"{provider}.{play.model(upstream)}"

        @check(f"{model}: an answer, and a Pydantic model")
        async def _(model=model):
            async with agents(model).run() as app:
                equal(await app.house.send(said("hello")), "Hello, 世界!")
            async with agents(model).run() as app:
                parsed, _ = await app.house.structured(said("object"), City)
                equal(parsed, City(city="Tromsø", people=77000))

        @check(f"{model}: two calls at once, then the answer")
        async def _(model=model, provider=provider):
            asked.clear()
            words = "Hi" if provider in ("responses", "anthropic") else "(unsigned)"
            async with agents(model, function_tools=[weather]).run() as app:
                equal(await app.house.send(said("tools", words)), play.last_word)
            equal(sorted(asked), sorted(play.cities))

    @check(f"{provider}: errors name what is wrong")
    async def _(provider=provider):
        for what, says in (("context", "context length"), ("key", "API key")):
            try:
                async with agents(f"{provider}.{play.model('chat')}").run() as app:
                    told = await app.house.send(said(what))
            except (Exception, SystemExit) as error:
                told = f"{error!r} {error.__cause__!r}"
            assert says in told, told


play.main()
