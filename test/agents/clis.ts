import type { AgentName } from '../../src/cli/agents.ts'
import type { Call, UpstreamName } from './upstreams.ts'

/** The task's files: two to read, one to write. */
export type Task = { folder: string; a: string; b: string; out: string; content: string }

export type Cli = {
  name: AgentName
  package: string
  /** The release whose behaviour is known; a newer one is taken where it cannot be had. */
  version: string
  /** What it speaks itself, and who else is asked through the gateway. */
  native: UpstreamName
  others: readonly UpstreamName[]
  /** Whose signatures it has no place for, or does not send back: they take an unsigned turn, and lose its thoughts. */
  unsigned?: readonly UpstreamName[]
  /** What a native upstream's model is called: a name the agent knows. */
  model: string
  /** Behind `throughway NAME --model …`: one task without a person. */
  words: readonly string[]
  env?: Readonly<Record<string, string>>
  /** By the tools it offers: two reads at once, and the write. */
  turns(tools: readonly string[], task: Task): { reads: Call[]; write: Call }
}

const file =
  (name: string, key: string): Cli['turns'] =>
  (_, { a, b, out, content }) => ({
    reads: [a, b].map((path) => ({ name: name.split(' ')[0] ?? '', input: { [key]: path } })),
    write: { name: name.split(' ')[1] ?? '', input: { [key]: out, content } },
  })

export const prompt = 'Read a.txt and b.txt, then write out.txt as they say.'

export const clis: readonly Cli[] = [
  {
    name: 'claude',
    package: '@anthropic-ai/claude-code',
    version: '2.1.329',
    native: 'anthropic',
    others: ['chat', 'gemini', 'responses'],
    model: 'claude-sonnet-4-6',
    words: [
      ...['-p', prompt, '--output-format', 'stream-json', '--verbose'],
      ...['--permission-mode', 'acceptEdits', '--allowedTools', 'Read,Write'],
    ],
    env: {
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
      CLAUDE_CODE_MAX_RETRIES: '0',
    },
    turns: file('Read Write', 'file_path'),
  },
  {
    name: 'codex',
    package: '@openai/codex',
    version: '0.169.0',
    native: 'responses',
    others: ['chat', 'anthropic', 'gemini'],
    model: 'gpt-5.5',
    words: [
      ...['exec', '--json', '--skip-git-repo-check'],
      ...['--dangerously-bypass-approvals-and-sandbox', prompt],
    ],
    turns(tools, { a, b, out, content }) {
      const patch = `*** Begin Patch\n*** Add File: ${out}\n${content
        .split('\n')
        .slice(0, -1)
        .map((line) => `+${line}\n`)
        .join('')}*** End Patch\n`
      return {
        reads: [a, b].map((path) => ({ name: 'exec_command', input: { cmd: `cat ${path}` } })),
        write: tools.includes('apply_patch')
          ? { name: 'apply_patch', raw: patch }
          : {
              name: 'exec_command',
              input: { cmd: `cat > ${out} <<'END OF THE FILE'\n${content}END OF THE FILE\n` },
            },
      }
    },
  },
  {
    name: 'gemini',
    package: '@google/gemini-cli',
    version: '0.61.0',
    native: 'gemini',
    others: ['chat', 'anthropic', 'responses'],
    model: 'gemini-3.1-pro-preview',
    words: ['-p', prompt, '--yolo', '--skip-trust', '--output-format', 'json'],
    turns: file('read_file write_file', 'file_path'),
  },
  {
    name: 'opencode',
    package: 'opencode-ai',
    version: '1.18.33',
    native: 'chat',
    others: ['anthropic', 'gemini', 'responses'],
    // Its AI SDK keeps Gemini's, and sends them back only to a provider that is called google.
    unsigned: ['responses', 'gemini'],
    model: 'qwen3',
    words: ['run', '--auto', '--format', 'json', prompt],
    env: {
      OPENCODE_DISABLE_MODELS_FETCH: '1',
      OPENCODE_DISABLE_AUTOUPDATE: '1',
      OPENCODE_DISABLE_DEFAULT_PLUGINS: '1',
    },
    turns: file('read write', 'filePath'),
  },
]
