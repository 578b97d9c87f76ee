import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Encoder } from './bpe.ts'
import { estimateTokens } from './estimate.ts'
import { loadTokenizers } from './tokenizer.node.ts'

const prose = `A gateway stands between the people who ask and the models that answer. It keeps the keys, counts what was
used, and sends each question to whoever can answer it best. When one provider is slow or silent, it asks another, and
nobody has to notice. Most of its work is unremarkable: reading a request, choosing where it goes, passing the answer on
as it arrives, and writing down what it cost. The difficult part is doing this the same way for forty dialects.`
const python = `import asyncio
from dataclasses import dataclass, field


@dataclass
class RetryPolicy:
    """How often, and how long between."""
    attempts: int = 3
    base_delay: float = 0.5
    seen: dict[str, int] = field(default_factory=dict)

    async def run(self, call, *args, **kwargs):
        for attempt in range(1, self.attempts + 1):
            try:
                return await call(*args, **kwargs)
            except TimeoutError as error:
                self.seen[call.__name__] = attempt
                if attempt == self.attempts:
                    raise RuntimeError(f"gave up after {attempt} attempts") from error
                await asyncio.sleep(self.base_delay * 2 ** attempt)
`
const typescript = `export function createLimiter({ perMinute, now = Date.now }: LimiterOptions): Limiter {
  const windows = new Map<string, { start: number; used: number }>()
  return {
    take(key, amount = 1) {
      const window = windows.get(key)
      if (window === undefined || now() - window.start >= 60_000) {
        windows.set(key, { start: now(), used: amount })
        return true
      }
      if (window.used + amount > perMinute) return false
      window.used += amount
      return true
    },
  }
}
`
const json = JSON.stringify(
  ['red', 'blue', 'green', 'yellow'].map((color, i) => ({
    id: `order-${i + 41}`,
    customer: { name: 'Ada Lovelace', email: 'ada@example.com' },
    total: 129.5 + i,
    lines: [{ sku: `SHIRT-${color.toUpperCase()}`, quantity: 2, color }],
    shipped: i % 2 === 0,
    note: null,
  })),
  null,
  2,
)
const chinese = `网关位于提问的人和回答的模型之间。它保管密钥，统计用量，并把每个问题交给最合适的模型。当某个服务商变慢或没有回应时，
它会询问另一个，用户不会察觉。它的大部分工作并不起眼：读取请求，选择去向，在答案到达时立即转发，并记录费用。`
const japanese = `ゲートウェイは、質問する人と答えるモデルの間に立っています。鍵を保管し、使用量を数え、それぞれの質問を最も適したモデルに送ります。
ある提供者が遅いときや応答しないときは、別の提供者に尋ねるので、誰も気づきません。`
const korean = `게이트웨이는 질문하는 사람과 대답하는 모델 사이에 있습니다. 키를 보관하고 사용량을 세며 각 질문을 가장 알맞은 모델로 보냅니다.
한 제공자가 느리거나 응답하지 않으면 다른 제공자에게 물어보므로 아무도 알아차리지 못합니다.`
const russian = `Шлюз стоит между людьми, которые спрашивают, и моделями, которые отвечают. Он хранит ключи, считает расход и
отправляет каждый вопрос тому, кто ответит лучше всех. Если один поставщик молчит, он спрашивает другого.`

let encoder: Encoder
before(async () => {
  encoder = (await loadTokenizers())('gpt-4o')
})

describe('estimate', () => {
  for (const [name, said] of Object.entries({
    prose,
    python,
    typescript,
    json,
    chinese,
    japanese,
    korean,
    russian,
  }))
    test(`${name}: within 15 % of the exact count`, () => {
      const exact = encoder.count(said)
      const off = estimateTokens(said) / exact - 1
      assert.ok(Math.abs(off) <= 0.15, `${(off * 100).toFixed(1)} % off ${exact}`)
    })

  test('no text, no tokens; any text, at least one and at most two per UTF-16 unit', () => {
    const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 500, size: 'max' })
    fc.assert(
      fc.property(units, (codes) => {
        const tokens = estimateTokens(String.fromCharCode(...codes))
        assert.ok(Number.isInteger(tokens))
        assert.ok(tokens >= Math.min(1, codes.length) && tokens <= 2 * codes.length)
      }),
    )
  })
})
