import { type Log, reasonOf, type Secret } from '../../core/index.ts'
import type { Inbound, InboundNeeds, Reply } from '../inbound.ts'
import { readInteraction } from './interaction.ts'
import { assertSlackSigned } from './signature.ts'

type Needs = {
  inbound: InboundNeeds
  log: Log
  now: () => Date
  /** The signing secrets of all Slack channels. */
  secrets: () => Promise<readonly Secret[]>
  /** Tells one person something; behind the answer, which Slack wants within three seconds. */
  whisper: (to: { channel: string; user: string; text: string }) => Promise<void>
}

/** A request of Slack's. Throws `channel.unsigned`, `channel.repeated`. */
export async function receiveSlack(request: Inbound, needs: Needs): Promise<Reply> {
  const { inbound, log, now, secrets, whisper } = needs
  const signature = assertSlackSigned(request, await secrets(), now())
  await inbound.assertNew(`slack ${signature}`)
  const interaction = readInteraction(request.body)
  if (interaction.kind === 'nothing') return { status: 200, body: '' }
  if (interaction.kind === 'command') {
    const { words } = await inbound.command(interaction.who, interaction.text)
    return { status: 200, body: { response_type: 'ephemeral', text: words } }
  }
  const { ok, words } = await inbound.answer(interaction.answer)
  // What was decided is shown to all by the message itself, which is updated like after any other answer.
  if (!ok)
    whisper({ channel: interaction.conversation, user: interaction.user, text: words }).catch(
      (error: unknown) => log.warn({ reason: reasonOf(error) }, 'a refusal could not be told in Slack'),
    )
  return { status: 200, body: '' }
}
