import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryCache, QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { problemOf } from '../api/index.ts'
import { sessionQuery } from '../api/queries.ts'
import { SignIn, type SignInState, takeSignInCode } from '../pages/sign-in/index.ts'
import { Announcer } from '../ui/announcer.tsx'
import { createAppRouter } from './router.tsx'

const retries = 2
/** Nobody there, or a gateway that found nobody. */
const unanswered = [0, 502, 504]

function createQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        // A refusal is an answer; only a server that could not answer is asked again.
        retry: (failures, error) => {
          const { status } = problemOf(error)
          return failures < retries && unanswered.includes(status)
        },
      },
    },
    queryCache: new QueryCache({
      onError: (error, query) => {
        const ended = problemOf(error).status === 401 && query.queryKey[0] !== 'session'
        if (ended) void client.resetQueries({ queryKey: ['session'] })
      },
    }),
  })
  return client
}

export function App() {
  const [client] = useState(createQueryClient)
  const [router] = useState(() => createAppRouter(client))
  return (
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={client}>
        <Gate signedIn={<RouterProvider router={router} />} />
        <Announcer />
      </QueryClientProvider>
    </CSPProvider>
  )
}

/** Shows the console to a signed-in person and the way in to everybody else. The address is kept for after. */
function Gate({ signedIn }: { signedIn: React.ReactNode }) {
  const [code, setCode] = useState(() => takeSignInCode(window))
  useEffect(() => {
    const follow = (): void => {
      const next = takeSignInCode(window)
      if (next !== undefined) setCode(next)
    }
    window.addEventListener('hashchange', follow)
    return () => window.removeEventListener('hashchange', follow)
  }, [])
  const session = useQuery({ ...sessionQuery, enabled: code === undefined })
  if (code !== undefined) return <SignIn state={{ kind: 'code', code }} onDone={() => setCode(undefined)} />
  if (session.data) return signedIn
  if (session.isPending) return <SignIn state={{ kind: 'looking' }} onDone={() => setCode(undefined)} />
  const state: SignInState =
    problemOf(session.error).status === 401
      ? { kind: 'signed-out' }
      : { kind: 'failed', error: session.error, retry: () => void session.refetch() }
  return <SignIn state={state} onDone={() => setCode(undefined)} />
}
