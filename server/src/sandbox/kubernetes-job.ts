import type { Job } from 'kubernetes-types/batch/v1.d.ts'
import type { Container, PodSpec } from 'kubernetes-types/core/v1.d.ts'
import { groupLimits, insidePaths, processLimits, writablePlaces } from './inside.ts'
import type { SandboxSpec } from './sandbox.ts'

/** Marks what belongs to one data folder of Keyward. */
export const labelName = 'keyward.dev/installation'

type Wanted = {
  spec: SandboxSpec
  name: string
  label: string
  user: number
  /** By its digest; it has `node` 20 or newer, a shell and `mkfifo`. */
  image: string
  /** The guest's source, which the image need not hold. */
  guest: string
}

/** A pod that the restricted Pod Security Standard admits, for one command; nothing of the command is in it. */
export function jobFor({ spec, name, label, user, image, guest }: Wanted): Job {
  const labels = { 'app.kubernetes.io/managed-by': 'keyward', [labelName]: label }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name, labels },
    spec: {
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      // What a killed server has left ends, and is gone, by itself.
      activeDeadlineSeconds: spec.limits.wallSeconds + startSeconds,
      ttlSecondsAfterFinished: 60,
      template: { metadata: { labels }, spec: podFor(spec, user, image, guest) },
    },
  }
}

/** For the image to be fetched and the pod to be placed. */
const startSeconds = 300

function podFor(spec: SandboxSpec, user: number, image: string, guest: string): PodSpec {
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 0,
    hostname: 'sandbox',
    // No names: a resolver that answers is a way out.
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['127.0.0.1'] },
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [containerFor(spec, image, guest)],
    volumes: [{ name: 'writable', emptyDir: { medium: 'Memory', sizeLimit: String(spec.limits.diskBytes) } }],
  }
}

function containerFor({ limits }: SandboxSpec, image: string, guest: string): Container {
  const { memoryBytes } = groupLimits(limits)
  const resources = { memory: String(memoryBytes), 'ephemeral-storage': '16Mi' }
  // Its own folder takes the certificates.
  const places = { ...writablePlaces, own: insidePaths.own }
  return {
    name: 'sandbox',
    image,
    imagePullPolicy: 'IfNotPresent',
    stdin: true,
    stdinOnce: true,
    command: ['/bin/sh', '-c', limitScript(limits), 'sh'],
    args: ['node', '--input-type=module', '-e', guest, 'stdio'],
    resources: { requests: { cpu: '100m', ...resources }, limits: resources },
    securityContext: {
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: Object.entries(places).map(([subPath, mountPath]) => ({
      name: 'writable',
      mountPath,
      subPath,
    })),
  }
}

/** Options of `ulimit`, with the size of one unit. Shells differ in the letter for processes. */
const units = { core: ['c', 512], cpu: ['t', 1], nofile: ['n', 1], fsize: ['f', 512] } as const

/** Kubernetes has no limits for single processes, but the shell that holds the guest does. */
function limitScript(limits: SandboxSpec['limits']): string {
  const known = new Map(processLimits(limits, true).map(([name, soft]) => [name, soft]))
  const words = Object.entries(units).map(
    ([name, [letter, unit]]) => `ulimit -${letter} ${Math.ceil((known.get(name) ?? 0) / unit)}`,
  )
  const processes = known.get('nproc') ?? 0
  return [...words, `ulimit -p ${processes} 2>/dev/null || ulimit -u ${processes}`, '"$@"', 'exit $?'].join(
    '; ',
  )
}
