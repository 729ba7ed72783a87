import { api, type ConnectorView } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { connectorsQuery } from '../../api/connection-queries.ts'
import { call } from '../../api/index.ts'
import { Dialog } from '../../ui/dialog.tsx'
import { DialogForm } from '../../ui/dialog-form.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { SchemaInputs } from '../../ui/schema-inputs.tsx'
import { schemaFields, valuesOf, type Written } from '../../ui/schema-values.ts'
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
  const [written, setWritten] = useState<Written>({})
  const chosen = kinds.find((one) => one.name === kind) ?? first
  const fields = schemaFields(chosen.settings)
  const needed = chosen.secretFields.map(({ name: field, title }) => `${field}: ${title}`).join('; ')
  const settings = valuesOf(fields, written)
  const create = useConnectionChange({
    async work() {
      const secretPath = secret.trim() === '' ? null : secret.trim()
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
  return (
    <DialogForm action="Connect it" work={create} onClose={onClose} disabled={!settings}>
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
      <SchemaInputs fields={fields} written={written} onChange={setWritten} />
    </DialogForm>
  )
}
