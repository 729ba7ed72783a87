import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { take } from './read.ts'
import type { RelayNeeds } from './relayed.ts'

/** What a sandbox asks for to reach its SSH agent: a name that no DNS has (RFC 2606), so that it is nobody's. */
export const sshAgentAuthority = 'ssh-agent.keyward.invalid:22'

/** As OpenSSH's own agent. */
const longestMessage = 256 * 1024
const extension = 27
const sessionBind = 'session-bind@openssh.com'
const failure = Buffer.from([5])
/** A client binds once; what comes after is refused with them. */
const mostBinds = 4

/** Passes the messages of an SSH agent's clients to the server, which has the keys, and remembers what they bound. */
export function createSshAgent({ sandboxId, ask, ledger }: RelayNeeds) {
  const refused = (reason: string): void => {
    const nothing = {
      path: '',
      leaseIds: [],
      placeholders: 0,
      bytesIn: 0,
      bytesOut: 0,
      redactions: 0,
      status: null,
    }
    const [host = ''] = sshAgentAuthority.split(':')
    const about = { sandboxId, host, port: 22, method: 'SSH AGENT', outcome: 'denied' as const, reason }
    void ledger.report({ ...nothing, ...about })
  }

  async function answerTo(message: Buffer, binds: readonly Buffer[]): Promise<Buffer> {
    const answer = await ask('sshAgent', { sandboxId, message, binds })
    const refusal = 'refusal' in answer ? answer.refusal.reason : answer.answer.refusal
    if (refusal !== null) refused(refusal)
    const reply = 'answer' in answer ? Buffer.from(answer.answer.reply) : failure
    const head = Buffer.alloc(4)
    head.writeUInt32BE(reply.length)
    return Buffer.concat([head, reply])
  }

  async function converse(client: Duplex): Promise<void> {
    const binds: Buffer[] = []
    for (;;) {
      const length = (await take(client, 4)).readUInt32BE()
      if (length < 1 || length > longestMessage) return refused('A message has a length that is not valid.')
      const message = await take(client, length)
      // Who does not read what it asked for is asked nothing more either.
      if (!client.write(await answerTo(message, binds))) await once(client, 'drain')
      if (isBind(message) && binds.length < mostBinds) binds.push(message)
    }
  }

  return async (client: Duplex): Promise<void> => {
    client.on('error', () => client.destroy())
    try {
      await converse(client)
    } catch {
      // The client has left.
    } finally {
      client.destroy()
    }
  }
}

/** Also one that is refused: a connection that was to be bound twice signs nothing. */
const isBind = (message: Buffer): boolean =>
  message[0] === extension && message.toString('latin1', 5, 5 + sessionBind.length) === sessionBind
