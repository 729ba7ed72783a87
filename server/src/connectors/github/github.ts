import { z } from 'zod'
import { AppError, callService } from '../../core/index.ts'
import { accessTokens } from '../../lend/index.ts'
import type { Connector } from '../connector.ts'
import { checkout } from './checkout.ts'
import { createCheckRun, listChecks, updateCheckRun, waitForChecks } from './checks.ts'
import { gitHubSettings, privateKeyField } from './client.ts'
import { commitFiles, createBranch, getFile } from './contents.ts'
import { comment, createIssue } from './issues.ts'
import { createPullRequest, getPullRequest, mergePullRequest } from './pulls.ts'

const installation = z.object({
  account: z.object({ login: z.string() }).nullable(),
  suspended_at: z.string().nullish(),
})

/** GitHub by a GitHub App: each task has a token of its own, for one repository and what its action needs, which ends with it. */
export const github: Connector = {
  name: 'github',
  title: 'GitHub',
  docs: 'https://docs.github.com/en/rest',
  settings: gitHubSettings,
  secretFields: [{ name: privateKeyField, title: 'Private key of the GitHub App, PEM' }],
  actions: [
    getPullRequest,
    getFile,
    checkout,
    listChecks,
    waitForChecks,
    createBranch,
    commitFiles,
    createPullRequest,
    mergePullRequest,
    createCheckRun,
    updateCheckRun,
    createIssue,
    comment,
  ],
  /** Shows the App's own signature, and asks about its installation: no token is made. */
  async health({ settings, secret, now }) {
    const { appId, installationId, apiUrl } = gitHubSettings.parse(settings)
    const headers = accessTokens.gitHubAppHeaders(appId, await secret(privateKeyField), now())
    const url = `${apiUrl.replace(/\/+$/, '')}/app/installations/${installationId}`
    const { status, text } = await callService({ url, headers, body: '', method: 'GET' }).catch(() => {
      throw new AppError('connector.unavailable', `${new URL(apiUrl).host} cannot be reached`)
    })
    if (status === 401) return { state: 'down', detail: 'GitHub does not accept the key of the App' }
    if (status === 404) return { state: 'down', detail: `the App has no installation ${installationId}` }
    if (status !== 200) return { state: 'degraded', detail: `GitHub answered ${status}` }
    const found = installation.safeParse(parsedJson(text))
    if (!found.success)
      return { state: 'degraded', detail: 'GitHub answered with something else than it documents' }
    if (found.data.suspended_at) return { state: 'down', detail: 'the installation is suspended' }
    return { state: 'up', detail: `installed at ${found.data.account?.login ?? 'nobody'}` }
  },
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Said by who asked.
    return undefined
  }
}
