import { type Command, Option } from 'commander'
import { commandGroup, serverCommand } from '../command.ts'
import type { ScanNeeds } from './scanning.ts'

// What asks the server is loaded by the command that does: a commit hook waits for every module of `keyward scan`.
const actions = () => import('./schedule-actions.ts')

const histories = ['all', 'new', 'none']
const providers = ['github', 'gitlab']

export const scheduleCommand = (needs: ScanNeeds): Command =>
  commandGroup('schedule', 'Have the server scan folders again and again', [
    addCommand(needs),
    listCommand(needs),
    changeCommand(needs),
    pauseCommand(needs, 'pause', true),
    pauseCommand(needs, 'resume', false),
    runCommand(needs),
    secretCommand(needs),
    removeCommand(needs),
  ])

const withRhythm = (command: Command): Command =>
  command
    .option('--cron <fields>', 'by the clock: minute, hour, day of the month, month, day of the week')
    .option('--time-zone <zone>', 'of --cron, as Europe/Zurich (default: UTC)')
    .addOption(
      new Option('--history <extent>', 'how much of the git history (default: new)').choices(histories),
    )

function addCommand(needs: ScanNeeds): Command {
  return withRhythm(
    serverCommand({
      usage: 'add <path>',
      summary: "Scan a folder of the server's machine by the clock, as files change, or after a push",
      details:
        'What a scan newly finds is proposed for import: a run that waits for a person. With --push the secret of the\n' +
        'webhook is shown, once.',
      examples: [
        "keyward scan schedule add /srv/shop --cron '30 3 * * *' --time-zone Europe/Zurich",
        'keyward scan schedule add /srv/shop --watch --no-propose',
        'keyward scan schedule add /srv/git/shop.git --push gitlab --repository team/shop',
      ],
    }),
  )
    .option('--watch', 'look at files as they change')
    .addOption(new Option('--push <provider>', 'after a push, told by a webhook').choices(providers))
    .option('--repository <name>', 'with --push: the only repository that counts, as owner/name')
    .option('--no-propose', 'only keep what is found')
    .action(async (path: string, options) => (await actions()).add(needs, path, options))
}

function listCommand(needs: ScanNeeds): Command {
  return serverCommand({
    usage: 'list',
    summary: 'Schedules, with their next and their last scan',
    examples: ['keyward scan schedule list'],
  }).action(async (options) => (await actions()).list(needs, options))
}

function changeCommand(needs: ScanNeeds): Command {
  return withRhythm(
    serverCommand({
      usage: 'change <scheduleId>',
      summary: 'Change when, and how, a folder is scanned',
      examples: [
        "keyward scan schedule change sch_01 --cron '0 6 * * 1-5'",
        'keyward scan schedule change sch_01 --no-watch --propose',
      ],
    }),
  )
    .option('--no-cron', 'not by the clock any more')
    .option('--watch', 'look at files as they change')
    .option('--no-watch', 'not as files change any more')
    .option('--propose', 'propose what is newly found')
    .option('--no-propose', 'only keep what is found')
    .action(async (id: string, options) => (await actions()).change(needs, id, options))
}

function pauseCommand(needs: ScanNeeds, name: 'pause' | 'resume', paused: boolean): Command {
  return serverCommand({
    usage: `${name} <scheduleId>`,
    summary: paused ? 'Let its times go by, its files change and its pushes be refused' : 'Let it go on',
    examples: [`keyward scan schedule ${name} sch_01`],
  }).action(async (id: string, options) => (await actions()).change(needs, id, { ...options, paused }))
}

function runCommand(needs: ScanNeeds): Command {
  return serverCommand({
    usage: 'run <scheduleId>',
    summary: 'Scan its folder now, and wait for the end',
    details: 'Exit code 1 when the scan failed.',
    examples: ['keyward scan schedule run sch_01', 'keyward scan schedule run sch_01 --no-wait'],
  })
    .option('--no-wait', 'return at once')
    .action(async (id: string, options) => (await actions()).run(needs, id, options))
}

function secretCommand(needs: ScanNeeds): Command {
  return serverCommand({
    usage: 'secret <scheduleId>',
    summary: 'A new secret for its webhook, shown once; the one before ends',
    examples: ['keyward scan schedule secret sch_01'],
  }).action(async (id: string, options) => (await actions()).secret(needs, id, options))
}

function removeCommand(needs: ScanNeeds): Command {
  return serverCommand({
    usage: 'remove <scheduleId>',
    summary: 'Forget a schedule; its findings stay',
    examples: ['keyward scan schedule remove sch_01'],
  }).action(async (id: string, options) => (await actions()).remove(needs, id, options))
}
