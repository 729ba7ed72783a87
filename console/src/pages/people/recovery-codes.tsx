import { api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { factorsQuery } from '../../api/queries.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { needsFactor, SecondFactorDialog } from '../../ui/second-factor.tsx'
import { ShownOnce } from '../../ui/shown-once.tsx'

const fewCodes = 3

/** How many are left, and new ones. */
export function RecoveryCodes({ left }: { left: number }) {
  const client = useQueryClient()
  const [showing, setShowing] = useState(false)
  const make = useMutation({
    mutationFn: () => call(api.secondFactors.recoveryCodes, {}),
    gcTime: 0,
    onSuccess: () => client.invalidateQueries(factorsQuery),
    onError: (error) => setShowing(needsFactor(error)),
  })
  return (
    <>
      <p className={`mb-3 max-w-[44rem] text-pretty ${left < fewCodes ? '' : 'text-muted'}`}>
        {left === 0 ? 'None is left' : left === 1 ? 'One is left' : `${left} are left`}. Each lets you change
        your second factors once, when you have lost them, and approves nothing.
      </p>
      {make.error && !needsFactor(make.error) ? <Failure error={make.error} /> : null}
      <Button busy={make.isPending} onClick={() => make.mutate()}>
        Make new ones
      </Button>
      <Dialog
        open={make.data !== undefined}
        onClose={() => make.reset()}
        dismissible={false}
        title="Your recovery codes"
        description={null}
      >
        {make.data ? <Codes codes={make.data.recoveryCodes} onClose={() => make.reset()} /> : null}
      </Dialog>
      <SecondFactorDialog
        open={showing}
        onClose={() => setShowing(false)}
        why="To make new recovery codes, show a second factor first."
        onShown={() => {
          setShowing(false)
          make.mutate()
        }}
      />
    </>
  )
}

export function Codes({ codes, onClose }: { codes: readonly string[]; onClose: () => void }) {
  return (
    <ShownOnce value={codes.join(' ')} label="Copy the recovery codes" onClose={onClose}>
      These are shown now and never again; those from before count no more. Keep them where your phone and
      your keys are not.
    </ShownOnce>
  )
}
