import type { SystemStatus } from '@keyward/contract'

/** One thing to do: a place in the console to go to, or a command to run. */
export type Step = {
  id: string
  title: string
  why: string
  urgent: boolean
  to?: '/findings' | '/approvals' | '/agents' | '/runs' | '/vault'
  link?: string
  command?: string
}

const plural = (count: number, one: string, many: string): string => `${count} ${count === 1 ? one : many}`

/** What a person should do next, most pressing first. Empty when nothing waits. */
export function nextSteps(status: Omit<SystemStatus, 'version' | 'startedAt'>): Step[] {
  return [...broken(status), ...asking(status), ...waiting(status.counts), ...beginning(status.counts)]
}

function broken({
  vault,
  audit,
  store,
  proxy,
  sandbox,
  egress,
  leaseProofs,
}: Pick<SystemStatus, 'vault' | 'audit' | 'store' | 'proxy' | 'sandbox' | 'egress' | 'leaseProofs'>): Step[] {
  const steps: Step[] = []
  if (audit.health !== 'ok' || store.health !== 'ok') {
    steps.push({
      id: 'doctor',
      title: 'Repair the storage',
      why: 'While the audit log or the database cannot be written, Keyward refuses to act.',
      urgent: true,
      command: 'keyward doctor',
    })
  }
  if (!vault.initialised) {
    steps.push({
      id: 'init',
      title: 'Initialise the vault',
      why: 'It has no key yet.',
      urgent: true,
      command: 'bao operator init',
    })
  } else if (vault.sealed) {
    steps.push({
      id: 'unseal',
      title: 'Unseal the vault',
      why: 'No secret can be read, kept or lent before.',
      urgent: true,
      command: 'bao operator unseal',
    })
  }
  if (proxy.health !== 'ok') {
    steps.push({
      id: 'proxy',
      title: 'Look at the egress proxy',
      why: 'Sandboxed tasks reach nothing while it is down.',
      urgent: true,
      command: 'keyward doctor',
    })
  }
  if (egress && egress.misused > 0) {
    steps.push({
      id: 'misuse',
      title: `Look at ${plural(egress.misused, 'misused placeholder', 'misused placeholders')}`,
      why: 'An agent sent one where it was not lent for. Nothing was forwarded, but an honest program does not try.',
      urgent: true,
      to: '/agents',
      link: 'Which agent',
    })
  }
  if (leaseProofs && leaseProofs.unproved > 0) {
    steps.push({
      id: 'unproved',
      title: `Look at ${plural(leaseProofs.unproved, 'lease', 'leases')} whose end is not proved`,
      why: 'They were not refused, or nobody could be asked. It is tried again by itself.',
      urgent: true,
      to: '/agents',
      link: 'Which agent',
    })
  }
  if (sandbox.level === 'none') {
    steps.push({
      id: 'sandbox',
      title: 'Make the sandbox work',
      why: sandbox.reasons[0] ?? 'This machine cannot isolate tasks, so they are refused.',
      urgent: false,
      command: 'keyward doctor',
    })
  }
  return steps
}

function asking({ openAsks = 0 }: Pick<SystemStatus, 'openAsks'>): Step[] {
  if (openAsks === 0) return []
  const title = openAsks === 1 ? 'An agent asks for a secret' : `Agents ask for ${openAsks} secrets`
  const why = 'Read where it would go, then enter it or say no. The agent gets a reference, never the value.'
  return [{ id: 'ask', title, why, urgent: true, to: '/agents', link: 'Answer' }]
}

function waiting({ pendingApprovals, openFindings }: SystemStatus['counts']): Step[] {
  const steps: Step[] = []
  if (pendingApprovals > 0) {
    steps.push({
      id: 'approve',
      title: `Answer ${plural(pendingApprovals, 'approval', 'approvals')}`,
      why: 'A run waits for you and does nothing until you answer.',
      urgent: true,
      to: '/approvals',
      link: 'Review',
    })
  }
  if (openFindings > 0) {
    steps.push({
      id: 'import',
      title: `Move ${plural(openFindings, 'leaked secret', 'leaked secrets')} into the vault`,
      why: 'You see every change to every file first, and approve it before it happens.',
      urgent: false,
      to: '/findings',
      link: 'Review findings',
    })
  }
  return steps
}

function beginning({ openFindings, importedFindings, agents }: SystemStatus['counts']): Step[] {
  const steps: Step[] = []
  if (openFindings + importedFindings === 0) {
    steps.push({
      id: 'scan',
      title: 'Scan a project',
      why: 'Files and git history are searched for secrets. Nothing is changed.',
      urgent: false,
      to: '/findings',
      link: 'Scan a folder',
    })
  }
  if (agents === 0) {
    steps.push({
      id: 'agent',
      title: 'Register an agent',
      why: 'It can then borrow secrets without ever holding one.',
      urgent: false,
      to: '/agents',
      link: 'Register',
    })
  }
  return steps
}
