import { api, type MountView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { Boxes, LogIn, Plus, Settings2, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { mountsQuery } from '../../api/vault-queries.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Section, Sheet } from '../../ui/page.tsx'
import { ConfirmPath } from './confirm-path.tsx'
import { secondsText } from './durations.ts'
import { EnableDialog, TuneDialog } from './mount-dialogs.tsx'
import { useChange } from './use-change.ts'
import { VaultFrame } from './vault-frame.tsx'

export function MountsPage() {
  const reading = useQuery(mountsQuery)
  const [enabling, setEnabling] = useState(false)
  const mounts = reading.data?.items ?? []
  const types = reading.data?.types
  return (
    <VaultFrame
      title="Mounts"
      lead="Engines that keep or make secrets, and the ways in for people and programs. Each has a path of its own."
      reading={reading}
      actions={
        <Button tone="solid" icon={Plus} onClick={() => setEnabling(true)}>
          Enable
        </Button>
      }
    >
      <Section title="Secrets engines">
        <MountList mounts={mounts.filter(({ kind }) => kind === 'secret')} />
      </Section>
      <Section title="Auth methods">
        <MountList mounts={mounts.filter(({ kind }) => kind === 'auth')} />
      </Section>
      {types ? <EnableDialog open={enabling} types={types} onClose={() => setEnabling(false)} /> : null}
    </VaultFrame>
  )
}

function MountList({ mounts }: { mounts: readonly MountView[] }) {
  return (
    <Sheet>
      <ul className="divide-y divide-line">
        {mounts.map((mount) => (
          <MountLine key={mount.path} mount={mount} />
        ))}
      </ul>
    </Sheet>
  )
}

function MountLine({ mount }: { mount: MountView }) {
  const { path, kind, type, version, description, defaultTtlSeconds, maxTtlSeconds, fixed } = mount
  const [open, setOpen] = useState<'tune' | 'disable'>()
  const disable = useChange({
    work: () => call(api.mounts.disable, { path, confirm: path }),
    done: `${path} is disabled`,
    onDone: () => setOpen(undefined),
  })
  const Icon = kind === 'auth' ? LogIn : Boxes
  const lives = [
    defaultTtlSeconds > 0 ? `usually ${secondsText(defaultTtlSeconds)}` : '',
    maxTtlSeconds > 0 ? `at most ${secondsText(maxTtlSeconds)}` : '',
  ].filter(Boolean)
  return (
    <li className="flex min-h-14 flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
      <Icon size={17} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-40 flex-1">
        <p className="font-medium break-all">{path}</p>
        {description ? <p className="text-[0.8125rem] text-pretty text-muted">{description}</p> : null}
      </div>
      <div className="order-1 basis-full pl-[2.05rem] text-[0.8125rem] sm:order-none sm:w-52 sm:basis-auto sm:pl-0">
        {type}
        {version === null ? '' : ` version ${version}`}
        {lives.length > 0 ? <span className="block text-xs text-muted">lives {lives.join(', ')}</span> : null}
      </div>
      <span className="flex w-[4.25rem] justify-end">
        {fixed ? (
          <span className="text-xs text-muted">built in</span>
        ) : (
          <>
            <IconButton icon={Settings2} label={`Tune ${path}`} onClick={() => setOpen('tune')} />
            <IconButton icon={Trash2} label={`Disable ${path}`} onClick={() => setOpen('disable')} />
          </>
        )}
      </span>
      <TuneDialog key={open} mount={mount} open={open === 'tune'} onClose={() => setOpen(undefined)} />
      <ConfirmPath
        open={open === 'disable'}
        onClose={() => setOpen(undefined)}
        title={`Disable ${path}?`}
        what={path}
        action="Disable and remove"
        work={disable}
      >
        {kind === 'auth'
          ? 'All its roles and users go, and every token that it gave out ends.'
          : 'Everything that it holds is removed, and nothing brings it back.'}
      </ConfirmPath>
    </li>
  )
}
