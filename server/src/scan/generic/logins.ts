import type { Detector } from '../detector.ts'
import { judgeAlone } from './judge.ts'

type Login = Pick<Detector, 'rule' | 'title' | 'keywords' | 'pattern'> & { readonly reach: number }

/** A value that its place makes a password: there is no key whose name could say so. */
const login = ({ reach, ...parts }: Login): Detector => ({
  provider: 'generic',
  confidence: 'medium',
  reach: { before: reach, after: reach },
  rank: 2,
  judge: judgeAlone,
  ...parts,
})

/** Passwords in commands, statements and calls that take them by position or by a short option. */
export const logins: readonly Detector[] = [
  login({
    rule: 'sql-password',
    title: 'Password in an SQL statement',
    keywords: ['identified'],
    pattern:
      /identified\s{1,4}(?:with\s{1,4}['"\w]{1,40}\s{1,4})?(?:by|as)\s{1,4}(?:password\s{1,4})?['"](?<value>[^'"\r\n]{4,128})(?=['"])/i,
    reach: 240,
  }),
  login({
    rule: 'client-password',
    title: 'Password in the command of a database client',
    keywords: ['mysql', 'mariadb'],
    pattern:
      /\b(?:mysql|mariadb)(?:dump|admin|import|show|check|-dump|-admin)?(?=[ \t])[^\r\n|;&]{0,160}?[ \t]-p["']?(?<value>[^\s"'$<|;&=-][^\s"'|;&]{3,100})/,
    reach: 300,
  }),
  login({
    rule: 'client-password',
    title: 'Password in a command',
    keywords: ['sshpass', 'redis-cli', 'ldapsearch', 'ldapmodify', 'ldapadd', 'sqlcmd', 'smbclient'],
    pattern:
      /\b(?:sshpass[^\r\n|;&]{0,60}?[ \t]-p|redis-cli[^\r\n|;&]{0,120}?[ \t](?:-a|--pass)|ldap(?:search|modify|add)[^\r\n|;&]{0,160}?[ \t]-w|sqlcmd[^\r\n|;&]{0,120}?[ \t]-P|smbclient[^\r\n|;&]{0,120}?[ \t]-U[ \t]{0,2}["']?[\w.\\-]{1,40}%)[ \t]{0,2}["']?(?<value>[^\s"'$<|;&-][^\s"'|;&]{3,100})/,
    reach: 300,
  }),
  login({
    rule: 'user-and-password',
    title: 'Password in a command, after the user',
    keywords: [' -u ', ' -u=', ' --user ', ' --user=', ' --username ', ' --username='],
    pattern:
      /[ \t](?:-u|--user(?:name)?)[ \t=]["']?[\w.@$\\-]{1,64}["']?[ \t]{1,4}(?:[^\s|;&]{1,60}[ \t]{1,4}){0,4}(?:-p|-w|--password)[ \t=]["']?(?<value>[^\s"'$<|;&-][^\s"'|;&]{3,100})/,
    reach: 320,
  }),
  login({
    rule: 'account-password',
    title: 'Password that a command sets',
    keywords: [
      'chpasswd',
      'htpasswd',
      'net user ',
      'rabbitmqctl ',
      '-passin',
      '-passout',
      'storepass',
      'keypass',
    ],
    pattern:
      /(?:echo[ \t]{1,3}["']?[\w.-]{1,32}:(?=[^\r\n]{1,160}\bchpasswd)|htpasswd[ \t]{1,3}-[A-Za-z]{0,6}b[A-Za-z]{0,6}[ \t]{1,3}(?:[^\s"']{1,120}[ \t]{1,3})?[\w.-]{1,64}[ \t]{1,3}["']?|net user[ \t]{1,3}[^\s]{1,40}[ \t]{1,3}["']?|rabbitmqctl[ \t]{1,3}(?:add_user|change_password)[ \t]{1,3}[^\s]{1,40}[ \t]{1,3}["']?|-pass(?:in|out)[ \t]{1,3}pass:|-(?:src|dest)?(?:storepass|keypass)[ \t]{1,3}["']?)(?<value>[^\s"'$<|;&/*-][^\s"'|;&]{3,100})/i,
    reach: 300,
  }),
  login({
    rule: 'jdbc-password',
    title: 'Password in a JDBC address',
    keywords: ['jdbc:'],
    pattern:
      /jdbc:(?:oracle:thin:[\w.-]{1,64}\/(?=[^\s@"']{1,100}@)|[a-z0-9]{2,20}:[^\s"'<>`]{1,300}?[?&;:](?:password|pwd)=)(?<value>[^\s"'<>`&;@{}$][^\s"'<>`&;@{}]{3,100})/i,
    reach: 480,
  }),
  login({
    rule: 'positional-password',
    title: 'Password as the second argument of a login',
    keywords: [
      'credential',
      'login(',
      'basicauth',
      'basic_auth',
      'passwordauthentication',
      'plainauth(',
      'getconnection(',
      'connect(',
      'new pdo(',
      'new mysqli(',
      'auth=(',
      'auth = (',
      "auth=['",
      'auth: [',
    ],
    pattern:
      /(?:(?:(?:Network|UsernamePassword|Basic(?:AWS|Auth)?)Credentials?|\.login|(?:HTTP|Set|with)?_?Basic_?Auth|Credentials\.basic|PasswordAuthentication|(?:ftp|imap)_login|auth[ \t]{0,2}[=:][ \t]{0,2})[([]|(?:PlainAuth|getConnection|(?:mysqli?|oci|ldap|odbc)_p?connect|new (?:PDO|mysqli))\([ \t]{0,4}(?:[\w.$>-]{1,60}|"[^"\r\n]{0,120}"|'[^'\r\n]{0,120}'),)[ \t]{0,4}(?:["'][^"'\r\n]{1,64}["']|\$?\w{1,40}),[ \t]{0,4}["'](?<value>[^"'\r\n\s]{4,100})(?=["'][ \t]{0,4}[,)\].])/i,
    reach: 420,
  }),
]
