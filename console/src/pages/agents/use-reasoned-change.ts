import { useMutation, useQueryClient } from '@tanstack/react-query'
import { announce } from '../../ui/announcer.tsx'

type Change = {
  work: (reason: string) => Promise<unknown>
  /** Said when it is done. */
  done: string
  onDone: () => void
}

const shown = ['asks', 'grants', 'leases', 'agents', 'status']

/** A change of what agents may borrow that somebody gives a reason for. */
export function useReasonedChange({ work, done, onDone }: Change) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: work,
    onSuccess: () => {
      onDone()
      announce(done)
      return client.invalidateQueries({ predicate: ({ queryKey }) => shown.includes(String(queryKey[0])) })
    },
  })
}
