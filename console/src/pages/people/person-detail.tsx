import { api, type PersonView } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link2, UserX } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Facts } from '../../ui/page.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { GroupsInput } from './person-dialog.tsx'
import { RoleChoice } from './role-choice.tsx'
import { groupPattern, groupsIn } from './roles.ts'
import { SignInLink } from './sign-in-link.tsx'

export function PersonDetail({ person }: { person: PersonView }) {
  return (
    <div className="flex flex-col gap-6">
      <Facts
        facts={[
          ['Account', <code key="id">{person.id}</code>],
          ['Since', <ExactTime key="since" at={person.createdAt} />],
        ]}
      />
      {person.disabled ? (
        <p className="text-pretty text-muted">
          This account is closed. Its name stays in the audit log, and nobody else can take it.
        </p>
      ) : (
        <>
          <Roles person={person} />
          <Groups person={person} />
          <Way person={person} />
        </>
      )}
    </div>
  )
}

function usePeopleChange(said: string) {
  const client = useQueryClient()
  return {
    onSuccess: () => {
      announce(said)
      return client.invalidateQueries({
        predicate: ({ queryKey }) => ['people', 'session'].includes(String(queryKey[0])),
      })
    },
  }
}

const sameMembers = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((one) => b.includes(one))

function Roles({ person }: { person: PersonView }) {
  const [chosen, setChosen] = useState(person.roles)
  const change = useMutation({
    mutationFn: () => call(api.people.roles, { personId: person.id, roles: chosen }),
    ...usePeopleChange(`The roles of ${person.name} are set`),
  })
  const changed = !sameMembers(chosen, person.roles)
  return (
    <div>
      <RoleChoice
        chosen={chosen}
        onChange={setChosen}
        error={chosen.length === 0 ? 'Choose one at least.' : undefined}
      />
      {change.error ? <Failure error={change.error} /> : null}
      {changed && chosen.length > 0 ? (
        <div className="mt-2">
          <Button tone="solid" busy={change.isPending} onClick={() => change.mutate()}>
            Set the roles
          </Button>
        </div>
      ) : null}
    </div>
  )
}

function Groups({ person }: { person: PersonView }) {
  const [text, setText] = useState(person.groups.join(', '))
  const groups = groupsIn(text)
  const wrong = groups.find((group) => !groupPattern.test(group))
  const change = useMutation({
    mutationFn: () => call(api.people.groups, { personId: person.id, groups }),
    ...usePeopleChange(`The groups of ${person.name} are set`),
  })
  return (
    <div>
      <GroupsInput value={text} onChange={setText} wrong={wrong} />
      {change.error ? <Failure error={change.error} /> : null}
      {wrong === undefined && !sameMembers(groups, person.groups) ? (
        <div className="mt-2">
          <Button tone="solid" busy={change.isPending} onClick={() => change.mutate()}>
            Set the groups
          </Button>
        </div>
      ) : null}
    </div>
  )
}

function Way({ person }: { person: PersonView }) {
  const [closing, setClosing] = useState(false)
  const link = useMutation({
    mutationFn: () => call(api.people.link, { personId: person.id }),
    gcTime: 0,
  })
  const close = useMutation({
    mutationFn: (reason: string) => call(api.people.disable, { personId: person.id, reason }),
    ...usePeopleChange(`The account of ${person.name} is closed`),
  })
  return (
    <div className="border-t border-line pt-5">
      {link.error ? <Failure error={link.error} /> : null}
      <div className="flex flex-wrap gap-2">
        <Button icon={Link2} busy={link.isPending} onClick={() => link.mutate()}>
          New sign-in link
        </Button>
        <Button tone="danger" icon={UserX} onClick={() => setClosing(true)}>
          Close the account…
        </Button>
      </div>
      <Dialog
        open={link.data !== undefined}
        onClose={() => link.reset()}
        dismissible={false}
        title={`The way in for ${person.name}`}
        description={null}
      >
        {link.data ? <SignInLink code={link.data.code} onClose={() => link.reset()} /> : null}
      </Dialog>
      <ReasonDialog
        open={closing}
        onClose={() => setClosing(false)}
        title={`Close the account of ${person.name}?`}
        description="Its sessions end at once, and its answers to approvals that still wait no longer count. It cannot be opened again."
        action="Close the account"
        work={close}
      />
    </div>
  )
}
