import { runGit } from './git.ts'

/** Where every branch, tag and stash stands, and HEAD. None where there is no history. */
export async function tipsOf(
  path: string,
  { searchPath, dangling }: { readonly searchPath: string; readonly dangling?: boolean },
): Promise<string[]> {
  const from = ['--all', ...(dangling ? ['--reflog'] : [])]
  const { status, output } = await runGit(['rev-list', '--no-walk', ...from], { searchPath, path })
  const commits = output.toString('latin1').split('\n')
  return status === 0 ? [...new Set(commits.filter((commit) => commit !== ''))].sort() : []
}
