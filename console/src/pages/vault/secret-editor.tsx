import { api, type SecretDetail } from '@keyward/contract'
import { Plus, Trash2 } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { useChange } from './use-change.ts'

type Props = {
  open: boolean
  onClose: () => void
  /** Its newest version, when one is changed; without it a new secret is written. */
  secret?: SecretDetail
  onWritten?: (path: string) => void
}

/** A field as it is written: `kept` ones keep the value that nobody here has seen. */
type Field = { readonly id: number; readonly name: string; readonly value: string; readonly kept: boolean }

export function SecretEditor({ open, onClose, secret, onWritten }: Props) {
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={secret ? 'Write a new version' : 'Write a secret'}
      description={
        secret ? (
          <>
            On top of version {secret.version} of <code className="break-all text-ink">{secret.path}</code>.
            If somebody else has written meanwhile, this is refused.
          </>
        ) : (
          'Values leave this page once, to the vault, and are not shown again.'
        )
      }
    >
      {open ? <Form secret={secret} onClose={onClose} onWritten={onWritten} /> : null}
    </Dialog>
  )
}

type FormProps = {
  secret: SecretDetail | undefined
  onClose: () => void
  onWritten: ((path: string) => void) | undefined
}

function Form({ secret, onClose, onWritten }: FormProps) {
  const [path, setPath] = useState(secret?.path ?? 'secret/')
  const [fields, setFields] = useState<Field[]>(() =>
    secret
      ? secret.fields.map((name, id) => ({ id, name, value: '', kept: true }))
      : [{ id: 0, name: '', value: '', kept: false }],
  )
  const [told, setTold] = useState(false)
  const problem = problemIn(path, fields)
  const write = useChange({
    work: () => {
      const written = fields.filter(({ kept }) => !kept)
      const set = Object.fromEntries(written.map(({ name, value }) => [name, value]))
      const names = fields.map(({ name }) => name)
      const remove = secret?.fields.filter((name) => !names.includes(name)) ?? []
      return call(api.secrets.write, { path, set, remove, cas: secret?.version ?? 0 })
    },
    done: secret ? 'The new version is written' : 'The secret is written',
    onDone: () => {
      setFields([])
      onClose()
      onWritten?.(path)
    },
  })
  const change = (id: number, next: Partial<Field>): void =>
    setFields((all) => all.map((field) => (field.id === id ? { ...field, ...next } : field)))
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!problem) write.mutate()
  }
  return (
    <form onSubmit={submit} noValidate autoComplete="off" className="flex flex-col gap-4">
      {secret ? null : (
        <Input
          label="Path"
          value={path}
          spellCheck={false}
          hint="Mount first: secret/shop/stripe"
          onChange={({ target }) => setPath(target.value)}
        />
      )}
      <ul className="flex flex-col gap-3">
        {fields.map((field) => (
          <FieldRow
            key={field.id}
            field={field}
            onChange={(next) => change(field.id, next)}
            onRemove={() => setFields((all) => all.filter(({ id }) => id !== field.id))}
          />
        ))}
      </ul>
      <div>
        <Button
          size="small"
          icon={Plus}
          onClick={() =>
            setFields((all) => [...all, { id: (all.at(-1)?.id ?? 0) + 1, name: '', value: '', kept: false }])
          }
        >
          Add a field
        </Button>
      </div>
      {told && problem ? (
        <p role="alert" className="text-xs font-medium text-bad">
          {problem}
        </p>
      ) : null}
      {write.error ? <Failure error={write.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={write.isPending}>
          Write
        </Button>
      </div>
    </form>
  )
}

type RowProps = { field: Field; onChange: (next: Partial<Field>) => void; onRemove: () => void }

function FieldRow({ field, onChange, onRemove }: RowProps) {
  const { name, value, kept } = field
  const title = name === '' ? 'the new field' : name
  return (
    <li className="flex items-end gap-2">
      <div className="min-w-0 flex-1">
        <Input
          label="Field"
          value={name}
          spellCheck={false}
          readOnly={kept}
          onChange={({ target }) => onChange({ name: target.value })}
        />
      </div>
      <div className="min-w-0 flex-[2]">
        <Input
          label="Value"
          type="password"
          autoComplete="new-password"
          value={value}
          placeholder={kept ? 'stays as it is' : ''}
          onChange={({ target }) => onChange({ value: target.value, kept: false })}
        />
      </div>
      <IconButton icon={Trash2} label={`Remove ${title}`} onClick={onRemove} className="mb-0.5" />
    </li>
  )
}

function problemIn(path: string, fields: readonly Field[]): string | undefined {
  if (!/^[^/].*\/.*[^/]$/.test(path)) return 'Name the secret with its mount: secret/shop/stripe.'
  if (fields.length === 0) return 'A secret has at least one field.'
  const names = fields.map(({ name }) => name.trim())
  if (names.includes('')) return 'Each field needs a name.'
  if (new Set(names).size < names.length) return 'Two fields have the same name.'
  return undefined
}
