import { AppError, reasonOf, type Secret } from '../../core/index.ts'
import type { ModelSettings } from './settings.ts'

export type Message = { readonly role: 'user' | 'assistant'; readonly content: string }
export type Question = {
  readonly instructions: string
  readonly messages: readonly Message[]
  readonly key: Secret | undefined
}
export type Said = {
  readonly text: string
  /** Null where the service does not say. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
}

/** One question to the model. Throws `goal.model_failed` in words that hold nothing of what was sent. */
export type Chat = (question: Question) => Promise<Said>

const mostTokens = 4096
const mostBytes = 1024 * 1024

type Settings = Pick<ModelSettings, 'url' | 'model' | 'timeoutMilliseconds'>

/** By the chat completions of any service that is compatible with OpenAI's. The code for it is loaded with the first question. */
export function createChat({ url, model, timeoutMilliseconds }: Settings): Chat {
  const { host } = new URL(url)
  // Where `max_tokens` is deprecated and refused by newer models: https://platform.openai.com/docs/api-reference/chat/create
  const bound = host === 'api.openai.com' ? 'max_completion_tokens' : 'max_tokens'

  return async ({ instructions, messages, key }) => {
    const [{ generateText, Output }, { createOpenAICompatible }] = await Promise.all([
      import('ai'),
      import('@ai-sdk/openai-compatible'),
    ])
    const signal = AbortSignal.timeout(timeoutMilliseconds)
    const service = createOpenAICompatible({
      name: 'planner',
      baseURL: url,
      fetch: boundedFetch,
      ...(key ? { apiKey: key.reveal() } : {}),
      transformRequestBody: (body) => ({ ...body, [bound]: mostTokens }),
    })
    // Asked for as JSON, and read here: what is no JSON goes back to the model with the reason.
    const output: ReturnType<typeof Output.json> = {
      ...Output.json(),
      parseCompleteOutput: async (said) => said.text,
    }
    try {
      const { text, usage } = await generateText({
        model: service.chatModel(model),
        instructions,
        messages: messages.map(({ role, content }) => ({ role, content })),
        output,
        maxRetries: 0,
        abortSignal: signal,
      })
      return { text, inputTokens: countOf(usage.inputTokens), outputTokens: countOf(usage.outputTokens) }
    } catch (error) {
      const why = signal.aborted ? 'it gave no answer in time' : wordsOf(error)
      throw new AppError('goal.model_failed', `the model at ${host} was asked: ${why}`)
    }
  }
}

const countOf = (tokens: number | undefined): number | null =>
  tokens !== undefined && Number.isSafeInteger(tokens) && tokens >= 0 ? tokens : null

/** The answer of a service may quote what it was sent, so only its status is said. */
function wordsOf(error: unknown): string {
  const status =
    typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined
  if (typeof status === 'number' && status >= 400) return `it answered ${status}`
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return cause instanceof AppError ? (cause.detail ?? cause.message) : `no usable answer (${nameOf(cause)})`
}

const nameOf = (error: unknown): string =>
  error instanceof Error && 'code' in error
    ? String(error.code)
    : error instanceof Error
      ? error.name
      : reasonOf(error)

/** Goes nowhere else, and reads no answer without end. */
const boundedFetch: typeof fetch = async (address, init) => {
  const answer = await fetch(address, { ...init, redirect: 'error' })
  if (!answer.body) return answer
  let bytes = 0
  const bounded = answer.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(part, controller) {
        bytes += part.byteLength
        if (bytes > mostBytes)
          controller.error(new AppError('goal.model_failed', `its answer is longer than ${mostBytes} bytes`))
        else controller.enqueue(part)
      },
    }),
  )
  const { status, statusText, headers } = answer
  return new Response(bounded, { status, statusText, headers })
}
