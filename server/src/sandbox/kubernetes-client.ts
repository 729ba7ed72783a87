import { readFile } from 'node:fs/promises'
import { type RequestOptions, request } from 'node:https'
import { join } from 'node:path'
import type { Job } from 'kubernetes-types/batch/v1.d.ts'
import { z } from 'zod'
import { type Attached, attach } from './kubernetes-attach.ts'
import { labelName } from './kubernetes-job.ts'

/** What Kubernetes gives to every pod that may speak with it: `token`, `ca.crt`, `namespace`. */
export const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

const podShape = z.object({
  metadata: z.object({ name: z.string() }),
  status: z.object({
    phase: z.string().optional(),
    containerStatuses: z
      .array(
        z.object({
          state: z.object({
            waiting: z.object({ reason: z.string().optional(), message: z.string().optional() }).optional(),
            terminated: z.object({ exitCode: z.int(), reason: z.string().optional() }).optional(),
          }),
        }),
      )
      .optional(),
  }),
})
export type Pod = z.infer<typeof podShape>

const podList = z.object({ items: z.array(podShape) })
const jobList = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) })
const problem = z.object({ message: z.string() })

export type KubernetesClient = {
  namespace: string
  /** Answers false when a job of this name is there already. */
  createJob(job: Job): Promise<boolean>
  /** The pod of a job, once there is one. */
  podOf(job: string): Promise<Pod | undefined>
  attach(pod: string): Promise<Attached>
  /** With its pod, at once; no fault when it is gone. */
  deleteJob(job: string): Promise<void>
  jobsOf(label: string): Promise<string[]>
}

type Needs = {
  /** Of the API server. */
  host: string
  port: number
  /** A folder with `token`, `ca.crt` and `namespace`. The token is read for each request, because it is renewed. */
  folder: string
  namespace: string | undefined
}

/** Throws when the account's files cannot be read. */
export async function createKubernetesClient(needs: Needs): Promise<KubernetesClient> {
  const { host, port, folder } = needs
  const ca = await readFile(join(folder, 'ca.crt'))
  const namespace = needs.namespace ?? (await readFile(join(folder, 'namespace'), 'utf8')).trim()
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`
  const pods = `/api/v1/namespaces/${namespace}/pods`

  async function optionsFor(method: string, path: string): Promise<RequestOptions> {
    const token = (await readFile(join(folder, 'token'), 'utf8')).trim()
    return { host, port, ca, method, path, headers: { Authorization: `Bearer ${token}` } }
  }

  async function call(method: string, path: string, body?: object): Promise<Answer> {
    return ask(await optionsFor(method, path), body)
  }

  async function list<T>(path: string, selector: string, shape: z.ZodType<T>): Promise<T> {
    const { status, body } = await call('GET', `${path}?labelSelector=${encodeURIComponent(selector)}`)
    if (status !== 200) throw refused(status, body)
    return shape.parse(body)
  }

  return {
    namespace,
    async createJob(job) {
      const { status, body } = await call('POST', jobs, job)
      if (status === 409) return false
      if (status !== 201) throw refused(status, body)
      return true
    },
    async podOf(job) {
      return (await list(pods, `batch.kubernetes.io/job-name=${job}`, podList)).items[0]
    },
    async attach(pod) {
      const query = 'container=sandbox&stdin=true&stdout=true&stderr=true'
      return attach(await optionsFor('GET', `${pods}/${pod}/attach?${query}`))
    },
    async deleteJob(job) {
      const query = 'propagationPolicy=Background&gracePeriodSeconds=0'
      const { status, body } = await call('DELETE', `${jobs}/${job}?${query}`)
      if (status !== 404 && status >= 300) throw refused(status, body)
    },
    async jobsOf(label) {
      const { items } = await list(jobs, `${labelName}=${label}`, jobList)
      return items.map(({ metadata }) => metadata.name)
    },
  }
}

type Answer = { status: number; body: unknown }

function refused(status: number, body: unknown): Error {
  const said = problem.safeParse(body)
  return new Error(
    `Kubernetes answered ${status}${said.success ? `: ${said.data.message.slice(0, 400)}` : ''}`,
  )
}

function ask(options: RequestOptions, body: object | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, ...(body ? { 'Content-Type': 'application/json' } : {}) }
    const asked = request({ ...options, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
      })
      response.once('error', reject)
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body: parsed(text) }))
    })
    asked.once('error', reject)
    asked.end(body && JSON.stringify(body))
  })
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
