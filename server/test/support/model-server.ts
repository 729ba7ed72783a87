// A language model behind the chat completions API of OpenAI: https://platform.openai.com/docs/api-reference/chat
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import type { Json } from '@keyward/contract'
import { cleanUp } from './clean-up.ts'

type Asked = {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: {
    readonly model: string
    readonly messages: readonly { readonly role: string; readonly content: string }[]
    readonly response_format?: Json
    readonly max_tokens?: number
  }
}

/** What it says next: text of the model, an answer of its own, or nothing more once it runs out. */
type Saying = string | ((response: ServerResponse) => void)

export type ModelServer = {
  readonly url: string
  readonly asked: readonly Asked[]
  /** What it answers from now on; the last one again and again. */
  say(...sayings: Saying[]): void
}

/** As a model answers that was given as JSON what the test wants it to say. */
export const asJson = (value: Json): string => JSON.stringify(value)

export async function openModelServer(t: TestContext): Promise<ModelServer> {
  const asked: Asked[] = []
  let sayings: Saying[] = []
  const server = createServer((request, response) => {
    bodyOf(request)
      .then((body) => {
        const { authorization } = request.headers
        asked.push({ path: request.url ?? '', authorization, body: JSON.parse(body) })
        const saying = sayings.length > 1 ? sayings.shift() : sayings[0]
        if (typeof saying === 'function') saying(response)
        else answer(response, 200, completionOf(saying ?? ''))
      })
      .catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanUp(t, () => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    say(...next) {
      sayings = next
    },
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

export function answer(response: ServerResponse, status: number, body: Json): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export const completionOf = (content: string): Json => ({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_767_225_600,
  model: 'planner-1-2026-01-01',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content, refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 900, completion_tokens: 40, total_tokens: 940 },
})
