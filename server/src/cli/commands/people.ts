import { api, type PersonView } from '@keyward/contract'
import { type Command, Option } from 'commander'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import type { Column } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version'>
type Role = PersonView['roles'][number]

const roles: readonly Role[] = ['owner', 'approver', 'operator', 'auditor']

export const peopleCommand = (needs: Needs): Command =>
  commandGroup('people', 'Accounts of people: make one, set roles and groups, close one', [
    listCommand(needs),
    createCommand(needs),
    linkCommand(needs),
    rolesCommand(needs),
    groupsCommand(needs),
    disableCommand(needs),
  ])

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<PersonView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'name', value: ({ name }) => name },
    { title: 'roles', value: ({ roles }) => roles.join(', ') },
    { title: 'groups', value: ({ groups }) => groups.join(', '), shrink: true },
    {
      title: 'state',
      value: ({ disabled }) => (disabled ? 'closed' : 'active'),
      paint: (text, { disabled }) => terminal.tint(disabled ? 'red' : 'green', text),
    },
    { title: 'since', value: ({ createdAt }) => shortTime(createdAt) },
  ]
  return withListOptions(
    serverCommand({
      usage: 'list',
      summary: 'Accounts of people',
      examples: ['keyward people list', 'keyward people list --all --json'],
    }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(terminal, options, columns, (paging) => client.call(api.people.list, paging))
  })
}

const roleOption = (): Option =>
  new Option('--role <role...>', 'what the person may do; several are given one after the other').choices(
    roles,
  )

function createCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'create <name>',
    summary: 'Make an account and print its one-time sign-in link',
    details:
      'The link goes to standard output and nothing else does. It works once and for ten minutes: hand it over on a\n' +
      'way that only the person can read.',
    examples: [
      'keyward people create mary --role approver --group buyers',
      'keyward people create olga --role operator approver',
    ],
  })
    .addOption(roleOption().makeOptionMandatory())
    .option('--group <group...>', 'with whom the person is asked', [])
    .action(async (name: string, options: CommonOptions & { role: Role[]; group: string[] }) => {
      const client = await connect(needs, options)
      const answer = await client.call(api.people.create, {
        name,
        roles: options.role,
        groups: options.group,
      })
      if (options.json) return terminal.json(answer)
      terminal.note(`Made ${answer.person.name} (${answer.person.id}). The link works once, for ten minutes:`)
      terminal.write(`${linkOf(client, answer.code)}\n`)
    })
}

const linkOf = ({ address }: Client, code: string): string => `${address}/#code=${encodeURIComponent(code)}`

function linkCommand(needs: Needs): Command {
  const { terminal } = needs
  return serverCommand({
    usage: 'link <personId>',
    summary: 'Print a new one-time sign-in link for somebody; recorded',
    examples: ['keyward people link psn_01'],
  }).action(async (personId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    const { code } = await client.call(api.people.link, { personId })
    if (options.json) return terminal.json({ link: linkOf(client, code) })
    terminal.write(`${linkOf(client, code)}\n`)
  })
}

function rolesCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'roles <personId>',
    summary: 'Set what somebody may do',
    examples: ['keyward people roles psn_01 --role approver auditor'],
  })
    .addOption(roleOption().makeOptionMandatory())
    .action(async (personId: string, options: CommonOptions & { role: Role[] }) => {
      const client = await connect(needs, options)
      report(needs, options, await client.call(api.people.roles, { personId, roles: options.role }))
    })
}

function groupsCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'groups <personId>',
    summary: 'Set with whom somebody is asked; none without --group',
    examples: ['keyward people groups psn_01 --group release buyers', 'keyward people groups psn_01'],
  })
    .option('--group <group...>', 'the groups, all of them', [])
    .action(async (personId: string, options: CommonOptions & { group: string[] }) => {
      const client = await connect(needs, options)
      report(needs, options, await client.call(api.people.groups, { personId, groups: options.group }))
    })
}

function disableCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'disable <personId>',
    summary: 'Close an account: its sessions end and its answers no longer count',
    examples: ['keyward people disable psn_01 --reason "Left the company"'],
  })
    .requiredOption('--reason <text>', 'why; recorded')
    .action(async (personId: string, options: CommonOptions & { reason: string }) => {
      const client = await connect(needs, options)
      report(needs, options, await client.call(api.people.disable, { personId, reason: options.reason }))
    })
}

function report({ terminal }: Needs, { json }: CommonOptions, person: PersonView): void {
  if (json) {
    terminal.json(person)
    return
  }
  const groups = person.groups.length > 0 ? `, in ${person.groups.join(', ')}` : ''
  terminal.note(`${person.name}: ${person.disabled ? 'closed' : `${person.roles.join(', ')}${groups}`}.`)
}
