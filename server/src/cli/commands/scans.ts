import { setTimeout as pause } from 'node:timers/promises'
import { api, type ScanView } from '@keyward/contract'
import type { Command } from 'commander'
import type { Client } from '../client.ts'
import { type CommonOptions, commandGroup, serverCommand } from '../command.ts'
import { connect } from '../connect.ts'
import { exitNegative } from '../exit-code.ts'
import { type ListOptions, shortTime, showList, withListOptions } from '../lists.ts'
import type { CommandNeeds } from '../needs.ts'
import { type Column, renderFacts } from '../table.ts'

type Needs = Pick<CommandNeeds, 'terminal' | 'env' | 'version' | 'answer'>

const pauseMilliseconds = 400

export const scansCommand = (needs: Needs): Command =>
  commandGroup('scans', 'Scans that the server runs', [
    startCommand(needs),
    listCommand(needs),
    showCommand(needs),
  ])

type StartOptions = CommonOptions & { history: boolean; newCommits?: boolean; wait: boolean }

function startCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'start <path>',
    summary: "Scan a folder on the server's machine; its findings are kept",
    details: 'Waits for the end unless --no-wait. Exit code 1 when the scan failed.',
    examples: ['keyward scans start /srv/shop', 'keyward scans start /srv/shop --no-history --no-wait'],
  })
    .option('--no-history', 'leave the git history out')
    .option('--new-commits', 'of the history only what no scan has seen')
    .option('--no-wait', 'return at once')
    .action(async (path: string, options: StartOptions) => {
      const client = await connect(needs, options)
      const { history, newCommits = false } = options
      const started = await client.call(api.findings.startScan, { path, history, newCommits })
      showScan(needs, options, options.wait ? await finished(client, started) : started)
    })
}

async function finished(client: Client, started: ScanView): Promise<ScanView> {
  let scan = started
  while (scan.state === 'running') {
    await pause(pauseMilliseconds)
    scan = await client.call(api.findings.readScan, { scanId: scan.id })
  }
  return scan
}

function listCommand(needs: Needs): Command {
  const { terminal } = needs
  const columns: Column<ScanView>[] = [
    { title: 'id', value: ({ id }) => id },
    { title: 'state', value: ({ state }) => state },
    { title: 'findings', value: ({ findings }) => findings, align: 'right' },
    { title: 'files', value: ({ filesScanned }) => filesScanned, align: 'right' },
    { title: 'problems', value: ({ problems }) => problems.length, align: 'right' },
    { title: 'started', value: ({ startedAt }) => shortTime(startedAt) },
    { title: 'path', value: ({ path }) => path, shrink: true },
  ]
  return withListOptions(
    serverCommand({ usage: 'list', summary: 'Scans, newest first', examples: ['keyward scans list'] }),
  ).action(async (options: ListOptions) => {
    const client = await connect(needs, options)
    await showList(terminal, options, columns, (paging) => client.call(api.findings.listScans, paging))
  })
}

function showCommand(needs: Needs): Command {
  return serverCommand({
    usage: 'show <scanId>',
    summary: 'How far a scan is, and what it could not read',
    examples: ['keyward scans show scn_01'],
  }).action(async (scanId: string, options: CommonOptions) => {
    const client = await connect(needs, options)
    showScan(needs, options, await client.call(api.findings.readScan, { scanId }))
  })
}

function showScan({ terminal, answer }: Needs, { json }: CommonOptions, scan: ScanView): void {
  if (scan.state === 'failed') answer(exitNegative)
  if (json) terminal.json(scan)
  else terminal.write(scanText(scan))
}

const scanText = (scan: ScanView): string =>
  renderFacts([
    ['Scan', `${scan.id}, ${scan.state}`],
    ['Path', scan.path],
    ['Project', scan.project],
    ['Read', `${scan.filesScanned} of ${scan.filesTotal ?? '?'} files, ${scan.bytesScanned} bytes`],
    ['History', `${scan.commitsScanned} commits`],
    ['Findings', `${scan.findings}, of them new ${scan.opened}; gone ${scan.fixed}`],
    ...scan.problems.map(({ file, reason }) => ['Problem', `${file}: ${reason}`] as const),
  ])
