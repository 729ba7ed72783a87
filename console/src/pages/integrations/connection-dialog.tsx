import { api, type ConnectorView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { connectorsQuery } from '../../api/connection-queries.ts'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { settingFields, settingsOf } from './settings-fields.ts'
import { useConnectionChange } from './use-connection-change.ts'

type Props = { open: boolean; onClose: () => void }

export function ConnectionDialog({ open, onClose }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title="Connect a service"
      description="Its secret stays where it is in the vault. Connecting it asks the service how it is, and changes nothing there."
    >
      <Kinds onClose={onClose} />
    </Dialog>
  )
}

function Kinds({ onClose }: { onClose: () => void }) {
  const { data, error } = useQuery(connectorsQuery)
  if (error) return <Failure error={error} />
  const [first] = data?.items ?? []
  if (!data || !first) return <Skeleton label="Loading kinds of services" />
  return <Form kinds={data.items} first={first} onClose={onClose} />
}

type FormProps = { kinds: readonly ConnectorView[]; first: ConnectorView; onClose: () => void }

function Form({ kinds, first, onClose }: FormProps) {
  const [kind, setKind] = useState(first.name)
  const [name, setName] = useState('')
  const [secret, setSecret] = useState('')
  const [environment, setEnvironment] = useState('')
  const [written, setWritten] = useState<Readonly<Record<string, string>>>({})
  const chosen = kinds.find((one) => one.name === kind) ?? first
  const fields = settingFields(chosen)
  const needed = chosen.secretFields.map(({ name: field, title }) => `${field}: ${title}`).join('; ')
  const create = useConnectionChange({
    async work() {
      const secretPath = secret.trim() === '' ? null : secret.trim()
      const settings = settingsOf(fields, written)
      const { id } = await call(api.connections.create, {
        name: name.trim(),
        connector: chosen.name,
        settings,
        secretPath,
        ...(environment.trim() === '' ? {} : { environment: environment.trim() }),
      })
      return call(api.connections.check, { connectionId: id })
    },
    done: `${name} is connected`,
    onDone: onClose,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    create.mutate()
  }
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <div className="grid gap-4 sm:grid-cols-2">
        <Select
          label="Service"
          value={chosen.name}
          options={kinds.map((one) => [one.name, one.title] as const)}
          onChange={setKind}
        />
        <Input
          label="Name"
          hint="By it plans speak of the connection"
          required
          pattern="[a-z0-9][a-z0-9\-]*"
          autoComplete="off"
          spellCheck={false}
          value={name}
          onChange={({ target }) => setName(target.value)}
        />
      </div>
      {chosen.secretFields.length > 0 ? (
        <Input
          label="Path of its secret in the vault"
          hint={`With the fields: ${needed}`}
          required={chosen.secretFields.some(({ optional }) => !optional)}
          placeholder={`secret/${chosen.name}/bot`}
          autoComplete="off"
          spellCheck={false}
          value={secret}
          onChange={({ target }) => setSecret(target.value)}
        />
      ) : null}
      <Input
        label="Belongs to"
        hint="production asks a person before it is changed, and keeps agents out that are not let there"
        pattern="[a-z][a-z0-9\-]*"
        placeholder="production, staging, …"
        autoComplete="off"
        spellCheck={false}
        value={environment}
        onChange={({ target }) => setEnvironment(target.value)}
      />
      <div className="grid gap-4 sm:grid-cols-2">
        {fields.map((field) => (
          <Input
            key={`${chosen.name} ${field.name}`}
            label={field.name}
            required={field.required}
            placeholder={field.placeholder}
            hint={field.isList ? 'Several with commas between them' : undefined}
            autoComplete="off"
            spellCheck={false}
            value={written[field.name] ?? ''}
            onChange={({ target }) => setWritten((before) => ({ ...before, [field.name]: target.value }))}
          />
        ))}
      </div>
      {create.error ? <Failure error={create.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={create.isPending}>
          Connect it
        </Button>
      </div>
    </form>
  )
}
