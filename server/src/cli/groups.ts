import type { Command } from 'commander'
import type { CommandNeeds } from './needs.ts'

export type Group = {
  readonly name: string
  readonly summary: string
  readonly heading: string
  /** Each command's code is loaded only when it is the one that was typed. */
  load(needs: CommandNeeds): Promise<Command>
}

const start = 'Start here:'
const work = 'Findings and secrets:'
const agents = 'Agents and their work:'
const proof = 'Proof and policy:'
export const helpHeading = 'Help and tools:'

/** Every command of the first level, in the order of the help. */
export const groups: readonly Group[] = [
  {
    name: 'start',
    summary: 'Start the server and the guided first run',
    heading: start,
    load: async (needs) => (await import('./commands/server.ts')).startCommand(needs),
  },
  {
    name: 'server',
    summary: 'Start the server',
    heading: start,
    load: async (needs) => (await import('./commands/server.ts')).serverStartCommand(needs),
  },
  {
    name: 'login',
    summary: 'Sign in to a server',
    heading: start,
    load: async (needs) => (await import('./commands/session.ts')).loginCommand(needs),
  },
  {
    name: 'logout',
    summary: 'Sign out',
    heading: start,
    load: async (needs) => (await import('./commands/session.ts')).logoutCommand(needs),
  },
  {
    name: 'status',
    summary: 'How the server and its parts are',
    heading: start,
    load: async (needs) => (await import('./commands/session.ts')).statusCommand(needs),
  },
  {
    name: 'scan',
    summary: 'Find secrets in a folder and its git history, on this machine',
    heading: work,
    load: async (needs) => (await import('./commands/scan.ts')).scanCommand(needs),
  },
  {
    name: 'hook',
    summary: 'The git hook that looks at each commit before it is made',
    heading: work,
    load: async (needs) => (await import('./commands/hook.ts')).hookCommand(needs),
  },
  {
    name: 'findings',
    summary: 'Findings that the server keeps: review, import, ignore, undo',
    heading: work,
    load: async (needs) => (await import('./commands/findings.ts')).findingsCommand(needs),
  },
  {
    name: 'scans',
    summary: 'Scans that the server runs',
    heading: work,
    load: async (needs) => (await import('./commands/scans.ts')).scansCommand(needs),
  },
  {
    name: 'secrets',
    summary: 'What the vault holds',
    heading: work,
    load: async (needs) => (await import('./commands/secrets.ts')).secretsCommand(needs),
  },
  {
    name: 'vault',
    summary: 'The vault: its seal, why requests are refused, moving into it',
    heading: work,
    load: async (needs) => (await import('./commands/vault.ts')).vaultCommand(needs),
  },
  {
    name: 'run',
    summary: 'Run a command with the values behind its references',
    heading: work,
    load: async (needs) => (await import('./commands/run.ts')).runCommand(needs),
  },
  {
    name: 'template',
    summary: 'Files with the values behind their references',
    heading: work,
    load: async (needs) => (await import('./commands/template.ts')).templateCommand(needs),
  },
  {
    name: 'agents',
    summary: 'Agents: register, quarantine, activate, certificates, phases',
    heading: agents,
    load: async (needs) => (await import('./commands/agents.ts')).agentsCommand(needs),
  },
  {
    name: 'connect',
    summary: 'Run a command of an agent behind the proxy of another machine',
    heading: agents,
    load: async (needs) => (await import('./commands/connect.ts')).connectCommand(needs),
  },
  {
    name: 'leases',
    summary: 'Secrets that are lent to agents',
    heading: agents,
    load: async (needs) => (await import('./commands/leases.ts')).leasesCommand(needs),
  },
  {
    name: 'egress',
    summary: 'What agents may borrow and where it may go',
    heading: agents,
    load: async (needs) => (await import('./commands/egress.ts')).egressCommand(needs),
  },
  {
    name: 'goal',
    summary: 'Say what is wanted; see the plan for it, and start it',
    heading: agents,
    load: async (needs) => (await import('./commands/goals.ts')).goalCommand(needs),
  },
  {
    name: 'goals',
    summary: 'Goals that were said: list, show',
    heading: agents,
    load: async (needs) => (await import('./commands/goals.ts')).goalsCommand(needs),
  },
  {
    name: 'flows',
    summary: 'Flows: list, show, check, save, remove',
    heading: agents,
    load: async (needs) => (await import('./commands/flows.ts')).flowsCommand(needs),
  },
  {
    name: 'runs',
    summary: 'Durable runs: start, schedule, watch, read output, cancel',
    heading: agents,
    load: async (needs) => (await import('./commands/runs.ts')).runsCommand(needs),
  },
  {
    name: 'triggers',
    summary: 'What events of connected services start',
    heading: agents,
    load: async (needs) => (await import('./commands/triggers.ts')).triggersCommand(needs),
  },
  {
    name: 'connections',
    summary: 'Services that runs work with: add, check, change, remove',
    heading: agents,
    load: async (needs) => (await import('./commands/connections.ts')).connectionsCommand(needs),
  },
  {
    name: 'connectors',
    summary: 'Kinds of services, and what runs can do there',
    heading: agents,
    load: async (needs) => (await import('./commands/connectors.ts')).connectorsCommand(needs),
  },
  {
    name: 'sandbox',
    summary: 'Sandboxes that run now, end one; images for them',
    heading: agents,
    load: async (needs) => (await import('./commands/sandbox.ts')).sandboxCommand(needs),
  },
  {
    name: 'approvals',
    summary: 'What waits for a person, and what was decided',
    heading: agents,
    load: async (needs) => (await import('./commands/approvals.ts')).approvalsCommand(needs),
  },
  {
    name: 'approve',
    summary: 'Allow exactly what is shown, once',
    heading: agents,
    load: async (needs) => (await import('./commands/approvals.ts')).approveCommand(needs),
  },
  {
    name: 'deny',
    summary: 'Refuse what is asked',
    heading: agents,
    load: async (needs) => (await import('./commands/approvals.ts')).denyCommand(needs),
  },
  {
    name: 'people',
    summary: 'Accounts of people: make one, set roles and groups, close one',
    heading: agents,
    load: async (needs) => (await import('./commands/people.ts')).peopleCommand(needs),
  },
  {
    name: 'channels',
    summary: 'Where people are told what happens, and may answer',
    heading: agents,
    load: async (needs) => (await import('./commands/channels.ts')).channelsCommand(needs),
  },
  {
    name: 'second-factor',
    summary: 'What you show beside your sign-in, for approvals of high risk',
    heading: agents,
    load: async (needs) => (await import('./commands/second-factor.ts')).secondFactorCommand(needs),
  },
  {
    name: 'audit',
    summary: 'The audit log: read, export, verify',
    heading: proof,
    load: async (needs) => (await import('./commands/audit.ts')).auditCommand(needs),
  },
  {
    name: 'backup',
    summary: 'Encrypted backups: make, verify, restore',
    heading: proof,
    load: async (needs) => (await import('./commands/backup.ts')).backupCommand(needs),
  },
  {
    name: 'policy',
    summary: 'The policies in force',
    heading: proof,
    load: async (needs) => (await import('./commands/policy.ts')).policyCommand(needs),
  },
  {
    name: 'api',
    summary: 'Call any operation of the API by its name',
    heading: helpHeading,
    load: async (needs) => (await import('./commands/api.ts')).apiCommand(needs),
  },
  {
    name: 'doctor',
    summary: 'Check this machine and say what to mend',
    heading: helpHeading,
    load: async (needs) => (await import('./commands/doctor.ts')).doctorCommand(needs),
  },
  {
    name: 'completion',
    summary: 'Completion for bash, zsh or fish',
    heading: helpHeading,
    load: async (needs) => {
      const { completionCommand } = await import('./commands/completion.ts')
      return completionCommand(needs, () => Promise.all(groups.map((group) => group.load(needs))))
    },
  },
]
