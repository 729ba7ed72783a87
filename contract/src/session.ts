import { z } from 'zod'
import { operation, timestamp } from './operation.ts'

export const role = z.enum(['owner', 'approver', 'operator', 'auditor'])
export const sessionView = z.object({
  principal: z.string(),
  name: z.string(),
  roles: z.array(role),
  /** When the person last proved who they are; `solo` approval needs it fresh. */
  signedInAt: timestamp,
  expiresAt: timestamp,
})
export type SessionView = z.output<typeof sessionView>

export const sessionApi = {
  exchange: operation({
    name: 'session.exchange',
    method: 'POST',
    path: '/session/exchange',
    summary: 'Exchange a one-time sign-in code for a session',
    access: 'public',
    body: { code: z.string().min(10).max(200), kind: z.enum(['cookie', 'bearer']).default('cookie') },
    /** `token` only for `bearer` (the command line); a browser gets an HttpOnly cookie. */
    result: z.object({ session: sessionView, token: z.string().nullable() }),
    fails: ['session.code_invalid'],
  }),
  local: operation({
    name: 'session.local',
    method: 'POST',
    path: '/session/local',
    summary: "Sign in on the server's own machine, with the token file that only its user can read",
    access: 'public',
    body: {
      /** What `local.token` in the data folder holds; written anew at each start of the server. */
      token: z.string().min(20).max(200),
      /** `bearer`: a session at once. `code`: a one-time sign-in code, for a browser or another machine. */
      kind: z.enum(['bearer', 'code']),
    },
    result: z.object({
      session: sessionView.nullable(),
      token: z.string().nullable(),
      code: z.string().nullable(),
    }),
    fails: ['session.code_invalid'],
  }),
  read: operation({
    name: 'session.read',
    method: 'GET',
    path: '/session',
    summary: 'Who is signed in',
    result: sessionView,
    fails: ['session.required'],
  }),
  end: operation({
    name: 'session.end',
    method: 'DELETE',
    path: '/session',
    summary: 'Sign out',
    result: z.object({ ended: z.boolean() }),
  }),
}
