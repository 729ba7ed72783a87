import { api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Input } from '../../ui/field.tsx'
import { Failure } from '../../ui/notice.tsx'
import { RoleChoice } from './role-choice.tsx'
import { groupPattern, groupsIn, namePattern, type Role } from './roles.ts'
import { SignInLink } from './sign-in-link.tsx'

type Made = { name: string; code: string }

/** Makes an account, then shows the link that its person signs in with the first time. */
export function PersonDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const [made, setMade] = useState<Made>()
  const close = (): void => {
    setMade(undefined)
    onClose()
  }
  return (
    <Dialog
      open={open}
      onClose={close}
      dismissible={!made}
      title={made ? `The way in for ${made.name}` : 'Add a person'}
      description={
        made ? null : 'With a second person nobody has to answer for what they asked for themselves.'
      }
    >
      {made ? <SignInLink code={made.code} onClose={close} /> : <Form onDone={setMade} onCancel={close} />}
    </Dialog>
  )
}

function Form({ onDone, onCancel }: { onDone: (made: Made) => void; onCancel: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [chosen, setChosen] = useState<Role[]>(['approver'])
  const [groups, setGroups] = useState('')
  const [told, setTold] = useState(false)
  const create = useMutation({
    mutationFn: () => call(api.people.create, { name, roles: chosen, groups: groupsIn(groups) }),
    gcTime: 0,
    onSuccess: ({ person, code }) => {
      onDone({ name: person.name, code })
      announce(`${person.name} has an account`)
      return client.invalidateQueries({ queryKey: ['people'] })
    },
  })
  const wrongName = !namePattern.test(name)
  const wrongGroup = groupsIn(groups).find((group) => !groupPattern.test(group))
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    setTold(true)
    if (!wrongName && wrongGroup === undefined && chosen.length > 0) create.mutate()
  }
  return (
    <form onSubmit={submit} noValidate className="flex flex-col gap-4">
      <Input
        label="Name"
        required
        value={name}
        autoComplete="off"
        spellCheck={false}
        placeholder="grace"
        onChange={({ target }) => setName(target.value)}
        error={
          told && wrongName
            ? 'Use small letters, digits and . _ @ -, and begin with a letter or digit.'
            : undefined
        }
      />
      <RoleChoice
        chosen={chosen}
        onChange={setChosen}
        error={told && chosen.length === 0 ? 'Choose one at least.' : undefined}
      />
      <GroupsInput value={groups} onChange={setGroups} wrong={told ? wrongGroup : undefined} />
      {create.error ? <Failure error={create.error} /> : null}
      <div className="flex justify-end gap-2">
        <Button tone="quiet" onClick={onCancel}>
          Cancel
        </Button>
        <Button tone="solid" type="submit" busy={create.isPending}>
          Add
        </Button>
      </div>
    </form>
  )
}

type GroupsProps = { value: string; onChange: (value: string) => void; wrong: string | undefined }

export function GroupsInput({ value, onChange, wrong }: GroupsProps) {
  return (
    <Input
      label="Groups"
      value={value}
      autoComplete="off"
      spellCheck={false}
      placeholder="release, on-call"
      hint="An approval can ask for people of a group."
      onChange={({ target }) => onChange(target.value)}
      error={wrong === undefined ? undefined : `“${wrong}” is no name: small letters, digits and hyphens.`}
    />
  )
}
