import { api, type Destination } from '@keyward/contract'
import type { Command } from 'commander'
import { type CommonOptions, serverCommand, wholeNumber } from '../command.ts'
import { connect } from '../connect.ts'
import { addPlace, type Injection, injectionFrom } from '../destinations.ts'
import type { CommandNeeds } from '../needs.ts'

type Options = CommonOptions & {
  readonly agent: string
  readonly purpose: string
  readonly to?: readonly Destination[]
  readonly as?: Injection
  readonly ttl: number
  readonly uses?: number
  readonly perMinute?: number
  readonly bytes?: number
  readonly delegable?: boolean
}

export function delegateCommand(needs: Pick<CommandNeeds, 'terminal' | 'env' | 'version'>): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'delegate <leaseId>',
    summary: 'As the agent that holds a lease, pass a part of it on to another agent',
    details:
      "Signed in with the agent's API key in KEYWARD_TOKEN. The placeholder that comes back works for the other agent alone. What is " +
      'not said is as in the lease; the part ends with the whole, and its uses count as those of the whole.',
    examples: [
      'keyward leases delegate lea_01 --agent helper-bot --to "GET api.stripe.com/v1/*" --uses 3 --purpose "Read a charge"',
    ],
  })
    .requiredOption('--agent <agent>', 'who gets it, by name or id')
    .requiredOption('--purpose <text>', 'what it is for; recorded')
    .option('--to <place>', 'only here, instead of all places of the lease; can be repeated', addPlace)
    .option('--as <injection>', 'the one place of a request where it may stand', injectionFrom)
    .option('--ttl <seconds>', 'how long', wholeNumber(1, 3600), 300)
    .option('--uses <n>', 'how often', wholeNumber(1, 1_000_000))
    .option('--per-minute <n>', 'how often in a minute', wholeNumber(1, 100_000))
    .option('--bytes <n>', 'bytes of requests and answers', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--delegable', 'the other agent may pass a part of it on')
    .action(async (leaseId: string, { agent, purpose, to, as, ttl, delegable, ...options }: Options) => {
      const client = await connect(needs, options)
      const { uses, perMinute, bytes } = options
      const answer = await client.call(api.leases.delegate, {
        leaseId,
        agent,
        purpose,
        destinations: to && [...to],
        injection: as,
        budget: { uses, usesPerMinute: perMinute, bytes },
        ttlSeconds: ttl,
        delegable: delegable ?? false,
      })
      if (options.json) return terminal.json(answer)
      const { lease, placeholder } = answer
      terminal.note(
        `Lease ${lease.id} of ${lease.agentName} until ${lease.expiresAt}. It sends this instead of the value:`,
      )
      terminal.write(`${placeholder}\n`)
    })
}
