import { api, type BackupStatus } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Archive, CircleCheck, CircleX, DatabaseBackup, TriangleAlert } from 'lucide-react'
import { call } from '../../api/index.ts'
import { backupsQuery } from '../../api/vault-queries.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Command } from '../../ui/copy.tsx'
import { Empty, Failure } from '../../ui/notice.tsx'
import { Facts, Section, Sheet } from '../../ui/page.tsx'
import { ExactTime, Time } from '../../ui/time.tsx'
import { secondsText } from './durations.ts'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

type Backup = BackupStatus['items'][number]

export function BackupsPage() {
  const reading = useQuery(backupsQuery)
  const { data } = reading
  const configured = data !== undefined && data.state !== 'unconfigured'
  const create = useChange({ work: () => call(api.backups.create, {}), done: 'The backup is written' })
  return (
    <VaultFrame
      title="Backups"
      lead="A copy of everything, encrypted for those who may open it. The server that makes it cannot."
      reading={reading}
      evenSealed
      actions={
        configured ? (
          <Button tone="solid" icon={DatabaseBackup} busy={create.isPending} onClick={() => create.mutate()}>
            Back up now
          </Button>
        ) : null
      }
    >
      {create.error ? (
        <div className="mb-5">
          <Failure error={create.error} />
        </div>
      ) : null}
      {data && !configured ? <Unconfigured /> : null}
      {data && configured ? <State status={data} /> : null}
    </VaultFrame>
  )
}

function State({ status: { state, settings, lastDoneAt, items } }: { status: BackupStatus }) {
  const every = everyText(settings.everySeconds)
  return (
    <>
      {state === 'failing' ? (
        <p
          role="alert"
          className="mb-5 flex items-center gap-3 rounded-xl border border-bad/40 bg-bad-wash px-4 py-3.5"
        >
          <TriangleAlert size={18} className="shrink-0 text-bad" aria-hidden="true" />
          The last backup failed, or the next one is overdue.
        </p>
      ) : null}
      <Sheet className="mb-8 p-5">
        <Facts
          columns={2}
          facts={[
            ['Last one', lastDoneAt ? <Time key="at" at={lastDoneAt} /> : 'none yet'],
            ['Made', every],
            ['Kept', `the newest ${settings.keep}`],
            ['Where', settings.folder],
            [
              'Can be opened by',
              settings.recipients.length === 1 ? 'one key' : `${settings.recipients.length} keys`,
            ],
            ['Key file in it', settings.unsealKey ? 'yes: it is all that a restore needs' : 'no'],
          ]}
        />
      </Sheet>
      <Section title="Made so far">
        {items.length === 0 ? (
          <p className="text-muted">None yet.</p>
        ) : (
          <Sheet>
            <ul className="divide-y divide-line">
              {items.map((item) => (
                <BackupLine key={item.name} backup={item} />
              ))}
            </ul>
          </Sheet>
        )}
      </Section>
    </>
  )
}

const singles: Record<number, string> = { 3600: 'every hour', 86400: 'every day', 604800: 'every week' }
const everyText = (seconds: number | null): string =>
  seconds === null ? 'only when asked' : (singles[seconds] ?? `every ${secondsText(seconds)}`)

const looks: Record<Backup['state'], Look> = {
  done: { hue: 'ok', icon: CircleCheck, text: 'Written' },
  failed: { hue: 'bad', icon: CircleX, text: 'Failed' },
}

function BackupLine({ backup: { name, finishedAt, state, bytes, reason } }: { backup: Backup }) {
  return (
    <li className="flex flex-wrap items-center gap-x-5 gap-y-1 px-4 py-3">
      <Archive size={17} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-52 flex-1">
        <p className="font-medium break-all">{name}</p>
        {reason ? <p className="text-[0.8125rem] wrap-anywhere text-muted">{reason}</p> : null}
      </div>
      <span className="text-[0.8125rem] text-muted tabular-nums">{sizeText(bytes)}</span>
      <span className="text-[0.8125rem]">
        <ExactTime at={finishedAt} />
      </span>
      <span className="w-20">
        <Badge look={looks[state]} bare />
      </span>
    </li>
  )
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} kB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`
}

function Unconfigured() {
  return (
    <Empty icon={DatabaseBackup} title="Nothing is backed up">
      <p>Say once for whose keys backups are encrypted, and how often they are made:</p>
      <Command text="keyward backup configure --help" />
    </Empty>
  )
}
