import { api, type ChannelView } from '@keyward/contract'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Check, Input, Select } from '../../ui/field.tsx'
import { useAnnouncedChange } from '../../ui/use-announced-change.ts'
import { asks, kindNames, settingsOf } from './channel-kinds.ts'

type Props = { open: boolean; onClose: () => void }
type Kind = ChannelView['kind']

export function ChannelDialog({ open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Add a channel"
      description="What it signs in with stays where it is in the vault. It is told what is usual for its kind, until you change that."
    >
      <Form onClose={onClose} />
    </Dialog>
  )
}

const kinds = Object.entries(kindNames) as [Kind, string][]

function Form({ onClose }: { onClose: () => void }) {
  const [kind, setKind] = useState<Kind>('slack')
  const [name, setName] = useState('')
  const [secret, setSecret] = useState('')
  const [isPrivate, setPrivate] = useState(false)
  const [written, setWritten] = useState<Readonly<Record<string, string>>>({})
  const asked = asks[kind]
  const create = useAnnouncedChange(
    {
      async work() {
        const { id: channelId } = await call(api.channels.create, {
          kind,
          name: name.trim(),
          settings: settingsOf(kind, written),
          secretPath: secret.trim() === '' ? null : secret.trim(),
          allowPrivate: isPrivate,
        })
        return call(api.channels.check, { channelId })
      },
      done: `${name} is there; send a test`,
      onDone: onClose,
    },
    ['channels', 'status'],
  )
  return (
    <DialogForm action="Add it" work={create} onClose={onClose}>
      <div className="grid gap-4 sm:grid-cols-2">
        <Select label="Where" value={kind} options={kinds} onChange={setKind} />
        <Input
          label="Name"
          required
          pattern="[a-z][a-z0-9\-]*"
          autoComplete="off"
          spellCheck={false}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
        {asked.fields.map(({ name: field, label, required, placeholder, reads }) => (
          <Input
            key={`${kind} ${field}`}
            label={label}
            required={required}
            placeholder={placeholder}
            inputMode={reads === 'number' ? 'numeric' : undefined}
            autoComplete="off"
            spellCheck={false}
            value={written[field] ?? ''}
            onChange={({ target }) => setWritten((before) => ({ ...before, [field]: target.value }))}
          />
        ))}
      </div>
      <Input
        label="Path of its secret in the vault"
        hint={`With the fields: ${asked.secret}`}
        required={asked.secretRequired}
        placeholder={`secret/channels/${kind}`}
        autoComplete="off"
        spellCheck={false}
        value={secret}
        onChange={({ target }) => setSecret(target.value)}
      />
      <Check checked={isPrivate} onChange={setPrivate}>
        Its address may be one of our own network
      </Check>
    </DialogForm>
  )
}
