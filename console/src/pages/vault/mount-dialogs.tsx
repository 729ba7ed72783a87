import { api, type MountView, type ResultOf } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { secondsField, secondsFrom } from './durations.ts'
import { useChange } from './use-change.ts'

type Types = ResultOf<typeof api.mounts.list>['types']
type EnableProps = { open: boolean; types: Types; onClose: () => void }

export function EnableDialog({ open, types, onClose }: EnableProps) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Enable an engine or an auth method"
      description="It can be used as soon as this is done. It begins empty."
    >
      {open ? <EnableForm types={types} onClose={onClose} /> : null}
    </Dialog>
  )
}

/** `kv 2`, or `auth userpass`: a choice of the list. */
function EnableForm({ types, onClose }: Omit<EnableProps, 'open'>) {
  const options = [
    ['kv 2', 'KV version 2: secrets with versions'],
    ['kv 1', 'KV version 1: secrets without versions'],
    ...types.secret.filter((type) => type !== 'kv').map((type) => [type, `${type}: secrets engine`] as const),
    ...types.auth.map((type) => [`auth ${type}`, `${type}: auth method`] as const),
  ] as const
  const [chosen, setChosen] = useState<string>('kv 2')
  const [path, setPath] = useState('')
  const [description, setDescription] = useState('')
  const auth = chosen.startsWith('auth ')
  const type = chosen.replace(/^auth /, '').replace(/ [12]$/, '')
  const version = chosen === 'kv 1' ? '1' : chosen === 'kv 2' ? '2' : undefined
  const whole = `${auth ? 'auth/' : ''}${path.trim() || type}`
  const enable = useChange({
    work: () => call(api.mounts.enable, { path: whole, type, version, description }),
    done: `${whole} is enabled`,
    onDone: onClose,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    enable.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Select label="Kind" value={chosen} options={options} onChange={setChosen} />
      <Input
        label="Path"
        value={path}
        spellCheck={false}
        autoComplete="off"
        placeholder={type}
        hint={`It will be at ${whole}/`}
        onChange={({ target }) => setPath(target.value)}
      />
      <Input
        label="Description"
        value={description}
        maxLength={500}
        autoComplete="off"
        onChange={({ target }) => setDescription(target.value)}
      />
      {enable.error ? <Failure error={enable.error} /> : null}
      <Buttons action="Enable" busy={enable.isPending} onClose={onClose} />
    </form>
  )
}

type TuneProps = { mount: MountView; open: boolean; onClose: () => void }

export function TuneDialog({ mount, open, onClose }: TuneProps) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={`Tune ${mount.path}`}
      description="How long tokens and credentials live that it gives out from now on. Empty is what the vault does everywhere."
    >
      {open ? <TuneForm mount={mount} onClose={onClose} /> : null}
    </Dialog>
  )
}

function TuneForm({ mount, onClose }: Omit<TuneProps, 'open'>) {
  const [description, setDescription] = useState(mount.description)
  const [usual, setUsual] = useState(secondsField(mount.defaultTtlSeconds))
  const [most, setMost] = useState(secondsField(mount.maxTtlSeconds))
  const [told, setTold] = useState(false)
  const wrong = (text: string): string | undefined =>
    told && secondsFrom(text) === undefined ? 'Write a number with s, m, h or d: 15m.' : undefined
  const tune = useChange({
    work: () =>
      call(api.mounts.tune, {
        path: mount.path,
        description,
        defaultTtlSeconds: secondsFrom(usual),
        maxTtlSeconds: secondsFrom(most),
      }),
    done: `${mount.path} is tuned`,
    onDone: onClose,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (secondsFrom(usual) !== undefined && secondsFrom(most) !== undefined) tune.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Input
        label="Description"
        value={description}
        maxLength={500}
        autoComplete="off"
        onChange={({ target }) => setDescription(target.value)}
      />
      <Input
        label="Usual life"
        value={usual}
        placeholder="32d"
        error={wrong(usual)}
        onChange={({ target }) => setUsual(target.value)}
      />
      <Input
        label="Longest life"
        value={most}
        placeholder="32d"
        error={wrong(most)}
        onChange={({ target }) => setMost(target.value)}
      />
      {tune.error ? <Failure error={tune.error} /> : null}
      <Buttons action="Save" busy={tune.isPending} onClose={onClose} />
    </form>
  )
}

function Buttons({ action, busy, onClose }: { action: string; busy: boolean; onClose: () => void }) {
  return (
    <div className="flex justify-end gap-2">
      <Button tone="quiet" onClick={onClose}>
        Cancel
      </Button>
      <Button tone="solid" type="submit" busy={busy}>
        {action}
      </Button>
    </div>
  )
}
