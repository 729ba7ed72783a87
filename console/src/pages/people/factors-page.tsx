import { api, type FactorView } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { KeyRound, type LucideIcon, Smartphone } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { factorsQuery } from '../../api/queries.ts'
import { announce } from '../../ui/announcer.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section, Sheet } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { needsFactor, SecondFactorDialog } from '../../ui/second-factor.tsx'
import { Time } from '../../ui/time.tsx'
import { AddFactorDialog, type FactorKind } from './add-factor-dialog.tsx'
import { RecoveryCodes } from './recovery-codes.tsx'
import { peopleRooms } from './rooms.ts'

export function FactorsPage() {
  const { data, error, isPending, refetch } = useQuery(factorsQuery)
  const [adding, setAdding] = useState<FactorKind>()
  return (
    <>
      <PageHeader
        title="Your second factors"
        lead="What you show besides signing in, before you approve what is of high risk. A chat can never show one for you."
        actions={
          <>
            <Button icon={Smartphone} onClick={() => setAdding('totp')}>
              Add an app
            </Button>
            <Button icon={KeyRound} onClick={() => setAdding('key')}>
              Add a security key
            </Button>
          </>
        }
      >
        <RoomTabs label="People" rooms={peopleRooms} />
      </PageHeader>
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton rows={2} label="Loading your second factors" /> : null}
      {data && data.items.length === 0 ? <Nothing /> : null}
      {data && data.items.length > 0 ? (
        <>
          <Sheet>
            <ul className="divide-y divide-line">
              {data.items.map((factor) => (
                <FactorRow key={factor.id} factor={factor} />
              ))}
            </ul>
          </Sheet>
          <div className="mt-8">
            <Section title="Recovery codes">
              <RecoveryCodes left={data.recoveryCodesLeft} />
            </Section>
          </div>
        </>
      ) : null}
      {adding ? <AddFactorDialog kind={adding} onClose={() => setAdding(undefined)} /> : null}
    </>
  )
}

const kinds: Record<FactorView['kind'], { icon: LucideIcon; text: string }> = {
  totp: { icon: Smartphone, text: 'App with codes' },
  key: { icon: KeyRound, text: 'Security key' },
}

function FactorRow({ factor }: { factor: FactorView }) {
  const { icon: Icon, text } = kinds[factor.kind]
  return (
    <li className="flex flex-wrap items-center gap-x-5 gap-y-2 px-4 py-3.5">
      <Icon size={18} className="shrink-0 text-muted" aria-hidden="true" />
      <div className="min-w-[10rem] flex-1">
        <p className="font-medium">{factor.name}</p>
        <p className="text-[0.8125rem] text-muted">
          {text}, added <Time at={factor.createdAt} />
          {factor.lastUsedAt ? (
            <>
              , used <Time at={factor.lastUsedAt} />
            </>
          ) : (
            ', never used'
          )}
        </p>
      </div>
      <Remove factor={factor} />
    </li>
  )
}

function Remove({ factor }: { factor: FactorView }) {
  const client = useQueryClient()
  const [step, setStep] = useState<'asking' | 'showing'>()
  const remove = useMutation({
    mutationFn: () => call(api.secondFactors.remove, { factorId: factor.id }),
    onSuccess: () => {
      setStep(undefined)
      announce(`${factor.name} is removed`)
      return client.invalidateQueries(factorsQuery)
    },
    onError: (error) => needsFactor(error) && setStep('showing'),
  })
  return (
    <>
      <Button size="small" tone="danger" onClick={() => setStep('asking')}>
        Remove… <span className="sr-only">{factor.name}</span>
      </Button>
      <ConfirmDialog
        open={step === 'asking'}
        onClose={() => setStep(undefined)}
        title={`Remove ${factor.name}?`}
        description="It shows nothing for you any more. Without any second factor you cannot approve what is of high risk."
        action="Remove it"
        dismiss="Keep it"
        work={{ ...remove, mutate: () => remove.mutate() }}
      />
      <SecondFactorDialog
        open={step === 'showing'}
        onClose={() => setStep(undefined)}
        why="To remove a second factor, show one first."
        onShown={() => {
          setStep(undefined)
          remove.mutate()
        }}
      />
    </>
  )
}

function Nothing() {
  return (
    <Empty icon={KeyRound} title="You have no second factor">
      <p>
        Add two: the other one is the way back when one is lost. An app on your phone will do, a security key
        resists phishing, too.
      </p>
    </Empty>
  )
}
