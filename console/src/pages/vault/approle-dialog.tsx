import { type AppRoleView, api } from '@keyward/contract'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input, Select } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { secondsField, secondsFrom } from './durations.ts'
import { useChange } from './use-change.ts'

type Props = {
  open: boolean
  mounts: readonly string[]
  /** The one that is changed; without it a new one is made. */
  role?: AppRoleView
  onClose: () => void
  onWritten?: (role: AppRoleView) => void
}

export function AppRoleDialog({ open, role, ...rest }: Props) {
  return (
    <Dialog
      open={open}
      onClose={rest.onClose}
      title={role ? `Change ${role.name}` : 'New role'}
      description="Give it the least that the program needs. What is changed holds for the next sign-in."
    >
      {open ? <Form role={role} {...rest} /> : null}
    </Dialog>
  )
}

type FormProps = Omit<Props, 'open' | 'role'> & { role: AppRoleView | undefined }
type Draft = Record<
  'name' | 'policies' | 'tokenTtl' | 'tokenMaxTtl' | 'secretIdTtl' | 'uses' | 'cidrs',
  string
>

const draftOf = (role: AppRoleView | undefined): Draft => ({
  name: role?.name ?? '',
  policies: role?.policies.join(', ') ?? '',
  tokenTtl: secondsField(role?.tokenTtlSeconds ?? 1200),
  tokenMaxTtl: secondsField(role?.tokenMaxTtlSeconds ?? 3600),
  secretIdTtl: secondsField(role?.secretIdTtlSeconds ?? 3600),
  uses: String(role?.secretIdUses ?? 1),
  cidrs: role?.boundCidrs.join(', ') ?? '',
})

const list = (text: string): string[] =>
  text
    .split(/[\s,]+/)
    .map((item) => item.trim())
    .filter(Boolean)

function Form({ role, mounts, onClose, onWritten }: FormProps) {
  const [mount, setMount] = useState(role?.mount ?? mounts[0] ?? '')
  const [draft, setDraft] = useState(() => draftOf(role))
  const [told, setTold] = useState(false)
  const wrong = problemsIn(draft)
  const write = useChange({
    work: () =>
      call(api.appRoles.write, {
        mount,
        roleName: draft.name,
        policies: list(draft.policies),
        tokenTtlSeconds: secondsFrom(draft.tokenTtl) ?? 0,
        tokenMaxTtlSeconds: secondsFrom(draft.tokenMaxTtl) ?? 0,
        secretIdTtlSeconds: secondsFrom(draft.secretIdTtl) ?? 0,
        secretIdUses: Number(draft.uses),
        boundCidrs: list(draft.cidrs),
      }),
    done: `${draft.name} is written`,
    onDone: (written) => {
      onClose()
      onWritten?.(written)
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (Object.keys(wrong).length === 0) write.mutate()
  }
  const field = (name: keyof Draft, label: string, hint?: string) => (
    <Input
      label={label}
      hint={hint}
      value={draft[name]}
      readOnly={name === 'name' && role !== undefined}
      autoComplete="off"
      spellCheck={false}
      error={told ? wrong[name] : undefined}
      onChange={({ target }) => setDraft({ ...draft, [name]: target.value })}
    />
  )
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      {mounts.length > 1 ? (
        <Select
          label="Mount"
          value={mount}
          options={mounts.map((path) => [path, path] as const)}
          onChange={setMount}
        />
      ) : null}
      {field('name', 'Name')}
      {field('policies', 'Policies', 'Separated by commas; every token has default as well.')}
      <div className="grid gap-4 sm:grid-cols-2">
        {field('tokenTtl', 'A token lives', 'Empty: as the mount says.')}
        {field('tokenMaxTtl', 'At most')}
        {field('secretIdTtl', 'A secret id lives', 'Empty: without end.')}
        {field('uses', 'Uses of a secret id', '0: as often as one likes.')}
      </div>
      {field('cidrs', 'Used from', 'Addresses or blocks, 10.0.0.0/8; empty: anywhere.')}
      {write.error ? <Failure error={write.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onClose}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={write.isPending}>
          {role ? 'Save' : 'Make the role'}
        </Button>
      </div>
    </form>
  )
}

function problemsIn(draft: Draft): Partial<Record<keyof Draft, string>> {
  const span = 'Write a number with s, m, h or d: 15m.'
  return {
    ...(draft.name.trim() === '' ? { name: 'Name the role.' } : {}),
    ...(secondsFrom(draft.tokenTtl) === undefined ? { tokenTtl: span } : {}),
    ...(secondsFrom(draft.tokenMaxTtl) === undefined ? { tokenMaxTtl: span } : {}),
    ...(secondsFrom(draft.secretIdTtl) === undefined ? { secretIdTtl: span } : {}),
    ...(/^\d+$/.test(draft.uses) ? {} : { uses: 'Write a whole number.' }),
  }
}
